from collections.abc import Callable, Iterable, Mapping
from http.cookiejar import CookieJar
from typing import Any, Protocol, TypedDict

import requests
from requests import Response
from typing_extensions import Unpack

from ._diagnosis.report import explain as explain
from .auth import Given as Given
from .auth import HTTPSciTokenAuth as HTTPSciTokenAuth
from .auth import MalformedTokenError as MalformedTokenError
from .auth import TokenFunction as TokenFunction
from .auth import TokenNotFoundError as TokenNotFoundError
from .sessions import Session as Session
from .sessions import SessionMixin as SessionMixin

class _Options(TypedDict, total=False):
    auth: Any
    token: Given | TokenFunction
    audience: str | Iterable[str] | None
    force: bool | None
    hosts: str | Iterable[str] | None
    session: requests.Session | None
    allow_redirects: bool
    cert: str | tuple[str, str] | None
    cookies: CookieJar | Mapping[str, str] | None
    files: Any
    headers: Mapping[str, str | bytes | None] | None
    hooks: Mapping[str, Any] | None
    proxies: Mapping[str, str] | None
    stream: bool | None
    timeout: float | tuple[float | None, float | None] | None
    verify: bool | str | None

class _WithData(_Options, total=False):
    params: Any
    json: Any

class _WithParams(_Options, total=False):
    data: Any
    json: Any

class _WithBoth(_WithData, total=False):
    data: Any

class _WithJson(_Options, total=False):
    params: Any

# The function, and the module of the same name.
class _Patch(Protocol):
    enable: Callable[[], None]
    disable: Callable[[], None]
    enabled: Callable[[], bool]
    def __call__(
        self, url: str | bytes, data: Any = None, **kwargs: Unpack[_WithData]
    ) -> Response: ...

def delete(url: str | bytes, **kwargs: Unpack[_WithBoth]) -> Response: ...
def get(
    url: str | bytes, params: Any = None, **kwargs: Unpack[_WithParams]
) -> Response: ...
def head(url: str | bytes, **kwargs: Unpack[_WithBoth]) -> Response: ...
def options(url: str | bytes, **kwargs: Unpack[_WithBoth]) -> Response: ...
def post(
    url: str | bytes, data: Any = None, json: Any = None, **kwargs: Unpack[_WithJson]
) -> Response: ...
def put(url: str | bytes, data: Any = None, **kwargs: Unpack[_WithData]) -> Response: ...
def request(method: str, url: str | bytes, **kwargs: Unpack[_WithBoth]) -> Response: ...

patch: _Patch

__version__: str
__all__ = [
    "Given",
    "HTTPSciTokenAuth",
    "MalformedTokenError",
    "Session",
    "SessionMixin",
    "TokenFunction",
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
