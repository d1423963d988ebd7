from .api import delete as delete
from .api import get as get
from .api import head as head
from .api import options as options
from .api import patch as patch
from .api import post as post
from .api import put as put
from .api import request as request
from .auth import HTTPSciTokenAuth as HTTPSciTokenAuth
from .auth import TokenNotFoundError as TokenNotFoundError
from .diagnosis.report import explain as explain
from .sessions import Session as Session
from .sessions import SessionMixin as SessionMixin

__version__: str
__all__ = [
    "HTTPSciTokenAuth",
    "Session",
    "SessionMixin",
    "TokenNotFoundError",
    "delete",
    "explain",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
]
