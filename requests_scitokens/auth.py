"""HTTPSciTokenAuth: attaches a token, answers a challenge."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, ref

from requests import PreparedRequest, Response, Session, sessions
from requests.auth import AuthBase

from .answer import REFUSED, answer_refusal, send
from .discovery import TokenNotFoundError
from .environment import may_have_netrc
from .hook import earlier_home, home_of, prepare
from .memory import patching
from .origin import NOWHERE, default_audience
from .plan import make_plan
from .policy import parse_hosts
from .source import (
    Found,
    as_scitoken,
    ask,
    check,
    discovered,
    given_token,
    strings,
)

if TYPE_CHECKING:
    from scitokens import SciToken

    from .source import Given, TokenFunction

__all__ = ["HTTPSciTokenAuth", "TokenNotFoundError"]


class HTTPSciTokenAuth(AuthBase):
    """Give requests the user's SciToken, where it belongs.

    Parameters
    ----------
    token : scitokens.SciToken, str, bytes, bool or callable, optional
        The token to send. A function is called with the URL of each request and
        returns any of these, or `None` for no token. `True` means the user's own
        token, as with `force=True`; `False` means none at all. By default the
        user's token is looked for at request time (WLCG Bearer Token Discovery).
    audience : str or list of str, optional
        The `aud` claim (RFC 7519 section 4.1.3) that a discovered token must have:
        one of these. A token that has it goes to the request's host at once.
    force : bool, optional
        Send the token at once, and raise `TokenNotFoundError` if there is none.
    hosts : str or list of str, optional
        Where tokens may go, and where they go at once: `storage.example.org`,
        `*.example.org`, `https://host:1094`, `http://localhost:8080`. By default
        what the environment variable `REQUESTS_SCITOKENS_HOSTS` says.

    Raises
    ------
    TypeError
        If `token`, `audience` or `hosts` is of another type.
    ValueError
        If `token` cannot be a bearer token (RFC 6750 section 2.1), or `hosts` has an
        entry that is not understood. The message does not contain the token.

    Notes
    -----
    A handler that discovers its token never holds it, and is pickled without it. One
    that was given a token is pickled with that token.

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
        if not (token is None or callable(token)):
            check(token, "token=")
        self.token = None if token is True else token
        self.audience = audience
        if audience is not None and not isinstance(audience, str):
            self.audience = list(strings(audience, "audience="))
        self.force = bool(force) or token is True
        self.hosts = hosts
        if hosts is not None and not isinstance(hosts, str):
            self.hosts = strings(hosts, "hosts=")
        if self.hosts is not None:
            parse_hosts(self.hosts)
        self._session: ReferenceType[Session] | None = None
        #: Whether the autopatch made this handler, rather than the caller.
        self.is_default = False

    @classmethod
    def default_for(cls, session: Session) -> HTTPSciTokenAuth:
        """Make the handler that the autopatch gives to a session.

        It stands back for whatever Requests would do for a session without one.
        """
        auth = cls()
        auth._session = ref(session)
        auth.is_default = True
        return auth

    @property
    def asked(self) -> bool:
        """Whether the caller asked for the token, with `token=` or `force=True`."""
        return self.force or not (self.token is None or self.token is False)

    @property
    def audiences(self) -> tuple[str, ...]:
        """The `audience`, always as a tuple."""
        if self.audience is None:
            return ()
        return strings(self.audience, "audience=")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HTTPSciTokenAuth):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return (self.token, self.audiences, self.force, self.hosts)

    def __getstate__(self) -> dict[str, Any]:
        # A weak reference cannot be pickled, and would mean nothing elsewhere.
        return {**self.__dict__, "_session": None}

    # --- the request as the caller made it

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Attach the token where it may go at once; else wait for a refusal.

        Raises
        ------
        TokenNotFoundError
            If the token was asked for with `force=True` and there is none.
        """
        if self.is_default:
            self._do_as_requests_would(request)
            if not patching.on:
                return request
        home = earlier_home(request, self)
        plan = make_plan(self, request.url, home)
        if self.force and plan.token is None:
            # Where no token may go, nobody has looked for one yet.
            found = plan.found if plan.found.trouble else self.obtain(request.url)
            if found.trouble:
                raise found.error(request)
        if "Authorization" in request.headers and not (plan.attached and self.asked):
            return request  # the caller's own credentials
        prepare(request, self, plan, home or plan.origin or NOWHERE)
        return request

    def _do_as_requests_would(self, request: PreparedRequest) -> None:
        """Use `.netrc` and `https://user:pass@host/`, as a session without auth does."""
        session = self._session() if self._session else None
        trust_env = session is None or session.trust_env
        # Looked up where sessions look it up: that is the name that people replace.
        look = sessions.get_netrc_auth  # type: ignore[attr-defined]
        url = request.url or ""
        from_netrc = look(url) if trust_env and may_have_netrc(look) else None
        if from_netrc or "@" in url:  # else there is nothing to prepare, for each request
            request.prepare_auth(from_netrc)

    # --- the server's answer

    def handle_response(self, response: Response, **kwargs: Any) -> Response:
        """Answer a refusal, if this response is one. This is the response hook.

        Parameters
        ----------
        response : requests.Response
            What the server sent.
        **kwargs
            What the request was sent with: `timeout`, `verify`, `cert`, `proxies`,
            `stream`.
        """
        if response.status_code in REFUSED:
            return self.handle_401(response, **kwargs)
        return response

    def handle_401(self, response: Response, **kwargs: Any) -> Response:
        """Answer a 401 or a 403 with the token, or with a renewed one, if possible.

        Not only a Bearer challenge (RFC 6750 section 3) is answered: most storage
        servers refuse without one. The parameters are those of `handle_response`.
        """
        return answer_refusal(self, response, kwargs)

    def authenticate_bearer(self, response: Response, **kwargs: Any) -> Response:
        """Send the request again with the token, if it may go there.

        The parameters are those of `handle_response`.
        """
        home, proxies = home_of(response), kwargs.get("proxies")
        plan = make_plan(self, response.request.url, home, proxies=proxies)
        return send(self, response, plan.token, kwargs) if plan.token else response

    def generate_bearer_header(self, response: Response | None = None) -> str | None:
        """Return the `Authorization` field's value; `None` if there is no token.

        Parameters
        ----------
        response : requests.Response, optional
            The response that it would answer.
        """
        found = self.obtain(response.url if response is not None else None)
        return found.token.header if found.token and not found.trouble else None

    # --- the token

    def obtain(self, url: str | None, *, fresh: bool = False) -> Found:
        """Get the token from where the caller said, or discover it.

        Parameters
        ----------
        url : str or None
            Where it is to go.
        fresh : bool, optional
            Whether token files are read again although nothing about them has
            changed.
        """
        given, name = self.token, "the token given with token="
        if callable(given):
            given = ask(given, url or "")
            name = "the token that the token function returned"
            if given is None:
                return Found(None, "the token function returned none for this URL")
        if given is False:
            return Found(None, "token=False was given")
        if given is None or given is True:
            if type(self).find_token is HTTPSciTokenAuth.find_token:
                return discovered(url, self.audiences, fresh=fresh)
            # A subclass that finds tokens in its own way.
            given, name = self.find_token(url, error=self.force), "the token"
            if given is None:
                return Found(None, f"{type(self).__name__}.find_token() found none")
        return Found(given_token(given), name=name)

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
            What `scitokens.SciToken.discover` takes (`insecure`, `public_key`, ...).
            Where any is given, the token is verified as it does, which may ask the
            issuer for its keys; else nothing is verified.

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
            found = discovered(url, self.audiences)
            if found.token is None or found.trouble:
                raise found.error()
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
