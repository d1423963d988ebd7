"""A SciTokens issuer and a protected HTTPS server on loopback, for tests.

Both are real: tokens are signed; signature, issuer, audience, expiry and scope are checked
with the scitokens library. Needs the extra `testing`. As pytest fixtures they are in
`requests_scitokens.testing.fixtures`.
"""

try:
    import trustme  # noqa: F401
except ImportError:
    raise ImportError(
        "requests_scitokens.testing needs more packages: "
        "pip install 'requests-scitokens[testing]'"
    ) from None

from .answers import ANSWERS, Answer
from .faults import Fault
from .issuer import Issuer
from .protected import ProtectedServer, Received, Redirect

__all__ = [
    "ANSWERS",
    "Answer",
    "Fault",
    "Issuer",
    "ProtectedServer",
    "Received",
    "Redirect",
]
