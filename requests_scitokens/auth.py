"""HTTPSciTokenAuth: its parameters, where its token comes from, what Requests calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Literal, Protocol, Union, overload

from requests import PreparedRequest, RequestException, Response, Session
from requests.auth import AuthBase

from . import _exchange as exchange
from . import _exchanges as exchanges
from . import _state as state
from ._discovery import Found, find
from ._environment import HOSTS
from ._hosts import HostPattern, parse_hosts
from ._messages import Code, because, full
from ._origin import NOWHERE, default_audience, origin_of
from ._policy import Situation
from ._resend import rewound
from ._shown import may_be_shown
from ._token import BearerToken, MalformedTokenError, parse
from ._token_file import is_path
from .utils import serialize_token

if TYPE_CHECKING:
    from scitokens import SciToken

__all__ = [
    "Given",
    "HTTPSciTokenAuth",
    "MalformedTokenError",
    "TokenFunction",
    "TokenNotFoundError",
]


class Serializable(Protocol):
    """A `scitokens.SciToken`: scitokens has no type hints."""

    def serialize(self) -> str | bytes:
        """Return the token as text."""


#: What `token=` takes, and what a token function returns.
Given = Union[Serializable, str, bytes, bool, None]

#: Called with the URL of each request.
TokenFunction = Callable[[str], Given]


class TokenNotFoundError(RequestException):
    """No usable token was found, and the request may not go without one.

    As every `requests.RequestException` it is an `OSError` too. The message lists every
    place looked in, and what was wrong with what was there.
    """


class HTTPSciTokenAuth(AuthBase):
    """Send the user's SciToken with requests, where it belongs.

    Parameters
    ----------
    token : scitokens.SciToken, str, bytes, bool or callable, optional
        The token to send. A function is called with the URL of each request and returns
        any of these, or `None` for no token. `True` means the user's own token, as with
        `force=True`; `False` means no token at all. By default the user's token is looked
        for at request time (WLCG Bearer Token Discovery).
    audience : str or list of str, optional
        Choose among tokens: the `aud` claim (RFC 7519 section 4.1.3) of a discovered token
        must have one of these, or an any-audience entry. It does not say where a token
        goes.
    force : bool, optional
        Send the token with the request, and raise `TokenNotFoundError` if there is none.
    hosts : str or list of str, optional
        Where tokens may go, and where they go at once: `storage.example.org`,
        `*.example.org`, `https://host:1094`, `http://localhost:8080`. By default what the
        environment variable `REQUESTS_SCITOKENS_HOSTS` says.

    Raises
    ------
    TypeError
        If `token`, `audience` or `hosts` is of another type.
    ValueError
        If `token` cannot be a bearer token (RFC 6750 section 2.1), or `hosts` has an entry
        that is not understood. The message does not contain the token.

    Notes
    -----
    A handler that discovers its token never holds it, and is pickled without it. One that
    was given a token is pickled with that token.

    Examples
    --------
    >>> import requests
    >>> url = "https://storage.example.org/data/hello.txt"
    >>> requests.get(url, auth=HTTPSciTokenAuth())  # doctest: +SKIP
    <Response [200]>
    """

    # Set here for subclasses that do not call `__init__`.
    token: Given | TokenFunction = None
    audience: str | Iterable[str] | None = None
    force: bool = False
    hosts: str | Iterable[str] | None = None
    is_default: bool = False  #: whether the autopatch made this, rather than the caller

    #: The session that it was made for: its settings decide about proxies.
    _session: Callable[[], Session | None] = type(None)

    def __init__(
        self,
        token: Given | TokenFunction = None,
        audience: str | Iterable[str] | None = None,
        *,
        force: bool | None = None,
        hosts: str | Iterable[str] | None = None,
    ) -> None:
        if not (callable(token) or hasattr(token, "serialize")):
            try:
                read_token(token, "token=")
            except (TypeError, ValueError):
                del token  # the traceback may be shown with what its frames hold
                raise
        self.token = None if token is True else token
        self.audience = audience
        if audience is not None and not isinstance(audience, str):
            self.audience = list(strings(audience, "audience="))
        self.force = bool(force) or token is True
        self.hosts = hosts
        if hosts is not None and not isinstance(hosts, str):
            self.hosts = strings(hosts, "hosts=")
        if self.hosts:
            self._hosts()

    def __bool__(self) -> bool:
        """Tell whether the caller gave credentials: a default is nobody's.

        So Requests itself looks into `.netrc`, and libraries log in as they do without it.
        """
        return not self.is_default

    def __repr__(self) -> str:
        # No token: not even one that stands where it does not belong.
        shown = {"audience": self.audience, "force": self.force, "hosts": self.hosts}
        given = ["token=..."] if callable(self.token) or self.token else []
        for name, value in shown.items():
            if value:
                text = repr(value)
                given.append(f"{name}={text if may_be_shown(text) else '...'}")
        return f"{type(self).__name__}({', '.join(given)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HTTPSciTokenAuth):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return (self.token, strings(self.audience, "audience="), self.force, self.hosts)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle a default as `None`: who unpickles it need not have this package."""
        return (type(None), ()) if self.is_default else super().__reduce_ex__(protocol)

    def __getstate__(self) -> dict[str, Any]:
        # A weak reference cannot be pickled, and would mean nothing elsewhere.
        return {**self.__dict__, "_session": type(None)}

    # --- where its token comes from

    @property
    def _requested(self) -> bool:
        """Whether the caller requested the token, with `token=` or `force=True`."""
        return self.force or not (self.token is None or self.token is False)

    @property
    def _renews(self) -> bool:
        """Whether there may be another token after a 401 or 403 to this one."""
        return self.token is None or self.token is True or callable(self.token)

    def _hosts(self) -> tuple[HostPattern, ...] | None:
        """Return where tokens may go: by `hosts=`, else by the environment."""
        hosts = self.hosts or ()
        given = parse_hosts(hosts if isinstance(hosts, str) else tuple(hosts))
        if given:
            return given
        text = os.environ.get(HOSTS)
        if not text:
            return None
        try:
            return parse_hosts(text) or None
        except ValueError as error:
            if not self.is_default:
                raise ValueError(f"{HOSTS}: {error}") from None
            if state.first_time("hosts", text):
                state.log.warning("no token is sent; %s: %s", HOSTS, error)
            return ()

    def _find(
        self,
        at: Situation,
        refused: Collection[BearerToken] = (),
        earlier: BearerToken | None = None,
        *,
        header: bool = True,
    ) -> Found:
        """Get the token from where the caller said, or discover it.

        Nothing here holds what is given: a traceback may be shown with what it holds.
        """
        if callable(self.token):
            if at.elsewhere and earlier is not None:
                return Found(earlier, where="the token for the caller's own URL")
            if at.elsewhere:
                return Found(None, because(Code.FUNCTION_NOT_ASKED), silent=True)
            name = "the token that the token function returned"
            token = read_token(self.token(at.url), "what the token function returned")
            if token is None:
                return Found(None, because(Code.FUNCTION_NONE), silent=True)
        else:
            name = "the token given with token="
            token = read_token(self.token, "token=")
        if isinstance(token, BearerToken):
            return Found(token, where=name)
        if token is False:
            return Found(None, because(Code.SWITCHED_OFF), silent=True)
        own, ours = type(self), HTTPSciTokenAuth
        what = "what the handler's class found"
        if header and own.generate_bearer_header is not ours.generate_bearer_header:
            value = read_token(_without_scheme(self.generate_bearer_header()), what)
        elif own.find_token is not ours.find_token:
            value = read_token(self.find_token(url=at.url, error=self.force), what)
        else:
            return find(at, strings(self.audience, "audience="), refused)
        if isinstance(value, BearerToken):
            return Found(value, where="the token that the handler's class found")
        return Found(None, because(Code.CLASS_NONE))

    # --- what Requests calls

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Send the token with the request, or wait for a 401 or 403.

        Raises
        ------
        TokenNotFoundError
            If the token was requested with `force=True` and there is none.
        """
        if self.is_default:
            exchange.attempt(self, self._attach, request)
        else:
            self._attach(request)
        return request

    def _attach(self, request: PreparedRequest) -> None:
        ours = exchanges.begin(self, request)
        others = "Authorization" in request.headers  # the caller's own credentials
        if others and (self.is_default or not self._requested):
            return
        choice = ours.choose(request, self._session())
        if self.force and choice.token is None and not choice.at.came_by:
            # Where no token may go, nobody has looked for one yet.
            found = choice.found if choice.found.reason else self._find(choice.at)
            if found.token is None:
                raise TokenNotFoundError(found.everything(), request=request)
        if not others or choice.token is not None:
            ours.attach(request, choice, self._session())

    def handle_response(self, response: Response, **kwargs: Any) -> Response:
        """Pass the response on, or retry a 401 or 403 with the token: the response hook.

        Parameters
        ----------
        response : requests.Response
            What the server sent.
        **kwargs
            What it was sent with: `timeout`, `verify`, `cert`, `proxies`, `stream`.
        """
        if response.status_code in exchange.UNAUTHORIZED:
            return self.handle_401(response, **kwargs)
        return response

    def handle_401(self, response: Response, **kwargs: Any) -> Response:
        """Retry a 401 or a 403 with the token, or with a renewed one, if possible.

        A Bearer challenge (RFC 6750 section 3) is not needed: most storage servers send
        none. The parameters are those of `handle_response`.
        """
        return self._exchange_of(response).answer(response, kwargs)

    def authenticate_bearer(self, response: Response, **kwargs: Any) -> Response:
        """Send the request again with the token, if it may go there.

        The parameters are those of `handle_response`.
        """
        ours, request = self._exchange_of(response), response.request
        token = ours.choose(request, kwargs.get("proxies")).token
        if token is None or not rewound(request):
            return response
        return ours.send(response, token, kwargs)

    def _exchange_of(self, response: Response) -> exchange.Exchange:
        """Return the exchange of a response; a new one where the caller answers by hand."""
        ours = exchanges.exchange_of(response)
        if ours is not None and ours.handler is self:
            return ours
        start = ours.start if ours is not None else exchanges.start_of(response)
        request = getattr(response, "request", None)
        return exchange.Exchange(self, getattr(request, "url", None), start)

    def generate_bearer_header(self, response: Response | None = None) -> str | None:
        """Return the `Authorization` field's value; `None` if there is no token.

        Parameters
        ----------
        response : requests.Response, optional
            The response that it would answer.
        """
        url = response.url if response is not None else ""
        # A subclass may call this from its own.
        token = self._find(_direct(url), header=False).token
        return token.header if token else None

    @overload
    def find_token(
        self,
        url: str | None = ...,
        *,
        error: Literal[True] = ...,
        find_func: Callable[..., SciToken | None] | None = ...,
        **discover_kwargs: Any,
    ) -> SciToken: ...

    @overload
    def find_token(
        self,
        url: str | None = ...,
        *,
        error: bool,
        find_func: Callable[..., SciToken | None] | None = ...,
        **discover_kwargs: Any,
    ) -> SciToken | None: ...

    def find_token(
        self,
        url: str | None = None,
        *,
        error: bool = True,
        find_func: Callable[..., SciToken | None] | None = None,
        **discover_kwargs: Any,
    ) -> SciToken | None:
        """Look for the user's token.

        Parameters
        ----------
        url : str, optional
            Where it is to go.
        error : bool, optional
            Whether it is an error if there is none.
        find_func : callable, optional
            What to look with instead, such as `scitokens.SciToken.discover`; it gets
            `audience=` (by default the URL's scheme and host) and what follows.
        **discover_kwargs
            What `scitokens.SciToken.discover` takes (`insecure`, `public_key`, ...). Where
            any is given, the token is verified as it does, which may ask the issuer for
            its keys; else nothing is verified.

        Returns
        -------
        scitokens.SciToken or None
            The token; `None` if there is none and `error` is false.

        Raises
        ------
        TokenNotFoundError
            If there is none: an `OSError` that names every place looked in.
        """
        try:
            if find_func is not None:
                by_url = default_audience(url) if url else None
                return find_func(audience=self.audience or by_url, **discover_kwargs)
            audience = strings(self.audience, "audience=")
            found = find(_direct(url or ""), audience)
            if found.token is None:
                raise TokenNotFoundError(found.everything())
            return as_scitoken(found.token, discover_kwargs)
        except OSError:
            if error:
                raise
            return None


def _direct(url: str) -> Situation:
    """Describe a request that the caller sends to this URL."""
    origin = origin_of(url) or NOWHERE
    return Situation(url=url, origin=origin, start=origin)


def _without_scheme(header: str | None) -> str | None:
    return (header or "").partition(" ")[2] or None


def read_token(given: Any, what: str) -> BearerToken | bool | None:
    """Read what was given for a token; an error quotes nothing, and holds nothing of it."""
    if given is None or given is True or given is False:
        return given
    if not isinstance(given, str):
        if not isinstance(given, bytes) and not hasattr(given, "serialize"):
            kind = type(given).__name__
            del given
            raise TypeError(
                f"{what} is of type {kind}; a SciToken, a str or bytes, True, or a "
                "function that returns one of these was expected"
            )
        given = serialize_token(given)
    token = parse(given)
    if isinstance(token, BearerToken) and token.serialized[0] != "/":
        return token
    fault = is_path(given) or token
    if isinstance(fault, BearerToken):
        return fault
    del given, token  # the traceback may be shown with what its frames hold
    raise MalformedTokenError(f"{what} is not a bearer token: {full(fault)}")


def strings(value: str | Iterable[str] | None, what: str) -> tuple[str, ...]:
    """Return a string, or several, as a tuple; anything else is a `TypeError`."""
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        value = [value]
    found = tuple(value)
    if not all(isinstance(string, str) for string in found):
        raise TypeError(f"{what} takes a string or a list of strings")
    return found


def as_scitoken(token: BearerToken, discover_kwargs: dict[str, Any]) -> SciToken:
    """Return the token as a `SciToken`, verified only where keywords ask for it."""
    from scitokens import SciToken  # slow to import, and needed only here

    if discover_kwargs:
        return SciToken.deserialize(token.serialized, **discover_kwargs)
    scitoken = SciToken()
    scitoken.update_claims(token.claims or {})
    scitoken._serialized_token = token.serialized
    return scitoken


def __getattr__(name: str) -> Any:
    if name == "SciToken":  # requests-scitokens 0.2.1 had it here
        from scitokens import SciToken

        return SciToken
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
