"""HTTPSciTokenAuth: what Requests calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest, RequestException, Response, Session, sessions
from requests.auth import AuthBase

from . import exchange
from .discovery import Target, find
from .origin import default_audience, origin_of
from .source import Source, as_scitoken, strings

if TYPE_CHECKING:
    from scitokens import SciToken

    from .source import Given

__all__ = ["HTTPSciTokenAuth", "TokenNotFoundError"]


class TokenNotFoundError(RequestException):
    """No usable token was found, and the request may not go without one.

    As every `requests.RequestException` it is an `OSError` too. The message lists every
    place looked in, and what was wrong with what was there.
    """


class HTTPSciTokenAuth(Source, AuthBase):
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

    #: The session that it was made for: its settings decide about proxies and `.netrc`.
    _session: Callable[[], Session | None] = type(None)

    def _own_way(self, *, header: bool) -> Callable[[str], Given] | None:
        own, ours = type(self), HTTPSciTokenAuth
        if header and own.generate_bearer_header is not ours.generate_bearer_header:
            return lambda _: (self.generate_bearer_header() or "").partition(" ")[2] or None
        if own.find_token is not ours.find_token:
            return lambda url: self.find_token(url=url, error=self.force)
        return None

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

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Send the token with the request, or wait for a 401 or 403.

        Raises
        ------
        TokenNotFoundError
            If the token was requested with `force=True` and there is none.
        """
        if self.is_default:
            self._do_as_requests_would(request)
        exchange.attempt(self, self._attach, request)
        return request

    def _attach(self, request: PreparedRequest) -> None:
        # Somebody's own way to follow a redirect may ask for credentials again.
        before = exchange.hook_of(request)
        if before is not None:
            before.take_off(request)
        others = "Authorization" in request.headers  # the caller's own credentials
        if others and (self.is_default or not self._requested):
            return
        ours = before.at(request) if before else exchange.Exchange(self, request.url)
        ours.handler = self
        proxies = exchange.session_proxies(self._session(), request.url)
        decision = ours.decide(request, proxies)
        if self.force and decision.token is None and not ours.passed:
            # Where no token may go, nobody has looked for one yet.
            found = decision.found
            if not found.reason:
                found = self._find(Target(request.url or "", ours.origin))
            if found.token is None:
                raise TokenNotFoundError(found.everything(), request=request)
        if decision.attached is not None or not others:
            ours.prepare(request, decision)

    def _do_as_requests_would(self, request: PreparedRequest) -> None:
        """Use `.netrc` and `https://user:pass@host/`, as a session without auth does."""
        session, from_netrc = self._session(), None
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

        A Bearer challenge (RFC 6750 section 3) is not needed: most storage servers send
        none. The parameters are those of `handle_response`.
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
        start = ours.start if ours is not None else exchange.start_of(response)
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
        token = self._find(Target(url, origin_of(url)), header=False).token
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
            found = find(Target(url or "", origin_of(url)), audience)
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
