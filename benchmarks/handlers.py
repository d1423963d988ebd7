"""Handlers without this package: the least that can be done, to compare with."""

import os

from requests.auth import AuthBase
from requests.utils import get_netrc_auth

#: What says where a token is, and where it may go.
VARIABLES = (
    "BEARER_TOKEN",
    "BEARER_TOKEN_FILE",
    "SCITOKEN",
    "SCITOKEN_FILE",
    "_CONDOR_CREDS",
    "XDG_RUNTIME_DIR",
    "REQUESTS_SCITOKENS_HOSTS",
)


class HeaderAndHook(AuthBase):
    """The least that a handler with a response hook can do."""

    def __init__(self, token):
        self.header = f"Bearer {token}"

    def __call__(self, request):
        """Set the header, and register the hook."""
        request.headers["Authorization"] = self.header
        request.register_hook("response", self.look)
        return request

    def look(self, response, **_):
        """Return the response."""
        return response


class Floor(HeaderAndHook):
    """The least that a handler can do that finds its token at each request.

    It reads the variables and the file, and checks nothing.
    """

    def __init__(self):
        """Have no token yet."""

    def __call__(self, request):
        """Set the header with what is in the file."""
        values = {name: os.environ.get(name) for name in VARIABLES}
        path = f"{values['XDG_RUNTIME_DIR']}/bt_u{os.geteuid()}"
        descriptor = os.open(path, os.O_RDONLY)
        text = os.read(descriptor, 65536)
        os.close(descriptor)
        self.header = f"Bearer {text.decode().strip()}"
        return super().__call__(request)


class FloorOfTheAutopatch(Floor):
    """The same for a session whose user has not chosen it: `.netrc` comes first."""

    def __call__(self, request):
        """Look for a `.netrc`, as Requests does where no handler was chosen."""
        get_netrc_auth(request.url)
        return super().__call__(request)
