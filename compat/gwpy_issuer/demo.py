"""A pytest plugin: a local issuer in place of SciTokens' demo service on the network.

gwpy's tests get their tokens from `scitokens.utils.demo`, and verify them with the keys
that the issuer publishes. Both are here now; the tests themselves are as they were.
"""

import os
import tempfile
import time
from contextlib import ExitStack

from scitokens.utils import demo

from requests_scitokens.testing import Issuer

_running = ExitStack()


def pytest_configure():
    issuer = _running.enter_context(Issuer())
    folder = _running.enter_context(tempfile.TemporaryDirectory())
    issuer.write_ca(f"{folder}/ca.pem")
    os.environ["SSL_CERT_FILE"] = f"{folder}/ca.pem"

    def token(claims):
        scope, audience, expires = (claims[name] for name in ("scope", "aud", "exp"))
        return issuer.mint(scope, audience=audience, lifetime=expires - time.time())

    demo.token = token


def pytest_unconfigure():
    _running.close()
