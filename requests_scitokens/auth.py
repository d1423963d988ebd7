"""HTTPSciTokenAuth: what Requests calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

from requests import PreparedRequest, RequestException, Response, Session, sessions
from requests.auth import AuthBase

from . import exchange, state
from .discovery import Wanted, find
from .hosts import parse_hosts
from .origin import default_audience, origin_of
from .source import Source, Target, as_scitoken, objection, strings

if TYPE_CHECKING:
    from scitokens import SciToken

    from .source import Given, TokenFunction

__all__ = ["HTTPSciTokenAuth", "TokenNotFoundError"]


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
        must have one of these, or an any-audience entry. It makes no token go anywhere.
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

    def __init__(
        self,
        token: Given | TokenFunction = None,
        audience: str | Iterable[str] | None = None,
        *,
        force: bool | None = None,
        hosts: str | Iterable[str] | None = None,
    ) -> None:
        error = None if callable(token) else objection(token, "token=")
        if error is not None:
            raise error
        self.token = None if token is True else token
        self.audience = audience
        if audience is not None and not isinstance(audience, str):
            self.audience = list(strings(audience, "audience="))
        self.force = bool(force) or token is True
        self.hosts = hosts
        if hosts is not None and not isinstance(hosts, str):
            self.hosts = strings(hosts, "hosts=")
        if self.hosts:
            parse_hosts(self.hosts)  # type: ignore[arg-type]
        self._session: ReferenceType[Session] | None = None
        #: Whether the autopatch made this handler, rather than the caller.
        self.is_default = False

    @classmethod
    def _for(cls, session: Session, *, default: bool, **ours: Any) -> HTTPSciTokenAuth:
        """Make one for a session, whose settings decide about proxies and `.netrc`."""
        auth = cls(**ours)
        auth._session = ref(session)
        auth.is_default = default
        return auth

    def _source(self) -> Source:
        """Return what the caller said about the token, as it is now."""
        hosts = self.hosts
        if not (hosts is None or isinstance(hosts, str)):
            hosts = tuple(hosts)
        audience = strings(self.audience, "audience=")
        finds, ours = None, HTTPSciTokenAuth
        if type(self).generate_bearer_header is not ours.generate_bearer_header:
            finds = self._from_header
        elif type(self).find_token is not ours.find_token:
            finds = self._from_find_token
        chosen = not self.is_default
        return Source(self.token, audience, self.force, hosts, chosen, finds)

    def _from_find_token(self, url: str) -> Given:
        return self.find_token(url=url, error=self.force)

    def _from_header(self, url: str) -> Given:  # noqa: ARG002, all the ways have it
        header = self.generate_bearer_header()
        return header.partition(" ")[2] if header else None

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
        return {**self.__dict__, "_session": None}

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Send the token with the request, or wait for a 401 or 403.

        Raises
        ------
        TokenNotFoundError
            If the token was requested with `force=True` and there is none.
        """
        if not self.is_default:
            return self._attach(request)
        self._do_as_requests_would(request)
        if not state.patching.on:
            return request
        try:
            return self._attach(request)
        except Exception as error:  # noqa: BLE001, it is logged
            exchange.say_that_it_failed(error)
            return request

    def _attach(self, request: PreparedRequest) -> PreparedRequest:
        # Somebody's own way to follow a redirect may ask for credentials again.
        before = exchange.hook_of(request)
        if before is not None:
            before.take_off(request)
        if self.is_default and "Authorization" in request.headers:
            return request
        ours = before.at(request.url) if before else exchange.Exchange(self, request.url)
        ours.handler = self
        session = self._session() if self._session else None
        decision = ours.decide(request, exchange.session_proxies(session, request.url))
        if self.force and decision.token is None and not ours.passed:
            # Where no token may go, nobody has looked for one yet.
            found = decision.found
            if not found.reason:
                found = self._source().find(Target(request.url or "", ours.origin))
            if found.token is None:
                raise TokenNotFoundError(found.everything(), request=request)
        others = "Authorization" in request.headers  # the caller's own credentials
        if not others or (decision.attached is not None and self._source().requested):
            ours.prepare(request, decision)
        return request

    def _do_as_requests_would(self, request: PreparedRequest) -> None:
        """Use `.netrc` and `https://user:pass@host/`, as a session without auth does."""
        session = self._session() if self._session else None
        from_netrc = None
        if session is None or session.trust_env:
            # Looked up where sessions look it up: that is the name that people replace.
            look = sessions.get_netrc_auth  # type: ignore[attr-defined]
            from_netrc = look(request.url or "")
        if from_netrc or "@" in (request.url or ""):
            request.prepare_auth(from_netrc)

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

        Not only a Bearer challenge (RFC 6750 section 3) is answered: most storage servers
        send none. The parameters are those of `handle_response`.
        """
        return self._exchange_of(response).answer(response, kwargs)

    def authenticate_bearer(self, response: Response, **kwargs: Any) -> Response:
        """Send the request again with the token, if it may go there.

        The parameters are those of `handle_response`.
        """
        ours = self._exchange_of(response)
        token = ours.decide(response.request, kwargs.get("proxies")).token
        return ours.send(response, token, kwargs) if token else response

    def _exchange_of(self, response: Response) -> exchange.Exchange:
        """Return the exchange of a response; a new one where the caller answers by hand."""
        ours = exchange.exchange_of(response)
        if ours is not None and ours.handler is self:
            return ours
        start = ours.start if ours is not None else None
        if start is None and response.history:
            start = origin_of(response.history[0].url)
        request = getattr(response, "request", None)
        return exchange.Exchange(self, getattr(request, "url", None), start)

    def generate_bearer_header(self, response: Response | None = None) -> str | None:
        """Return the `Authorization` field's value; `None` if there is no token.

        Parameters
        ----------
        response : requests.Response, optional
            The response that it would answer.
        """
        source = self._source()
        if source.finds == self._from_header:  # a subclass calls this from its own
            own = type(self).find_token is not HTTPSciTokenAuth.find_token
            source = source._replace(finds=self._from_find_token if own else None)
        url = response.url if response is not None else ""
        token = source.find(Target(url, origin_of(url))).token
        return token.header if token else None

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
            found = find(Wanted(origin_of(url), audience=audience))
            if found.token is None:
                raise TokenNotFoundError(found.everything())
            return as_scitoken(found.token, discover_kwargs)
        except OSError:
            if error:
                raise
            return None


def __getattr__(name: str) -> Any:
    if name == "SciToken":  # requests-scitokens 0.2.1 had it here
        from scitokens import SciToken

        return SciToken
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
