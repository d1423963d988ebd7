"""What the caller said about the token; finds it, and decides what to do with it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from . import state
from .discovery import READS, Found, Target, find
from .hosts import HostPattern, parse_hosts
from .origin import NOWHERE, carries_credential, is_loopback
from .policy import Action, Situation, Standing, barred, decide, standing
from .token import BearerToken, MalformedTokenError

if TYPE_CHECKING:
    from typing import Protocol, TypeAlias

    from scitokens import SciToken

    class Serializable(Protocol):
        """A `scitokens.SciToken`: scitokens has no type hints."""

        def serialize(self) -> str | bytes:
            """Return the token as text."""

    Given: TypeAlias = "Serializable | str | bytes | bool | None"
    TokenFunction: TypeAlias = Callable[[str], Given]


class Decision(NamedTuple):
    """What to do about one request, and why; and what the user can do about it."""

    action: Action
    reason: str
    found: Found = Found()  # a token may be found and yet not be sent
    said: bool = False  # whether the log has said why there is none

    @property
    def attached(self) -> BearerToken | None:
        """The token, only if it goes with the request at once."""
        return self.found.token if self.action is Action.ATTACH else None

    @property
    def token(self) -> BearerToken | None:
        """The token, only if it may be sent, now or in answer to a 401 or 403."""
        return None if self.action is Action.NEVER else self.found.token


class Source:
    """What the caller said about the token: the part of `HTTPSciTokenAuth` that decides."""

    # Set here for subclasses that do not call `__init__`.
    token: Given | TokenFunction = None
    audience: str | Iterable[str] | None = None
    force: bool = False
    hosts: str | Iterable[str] | None = None
    is_default: bool = False  #: whether the autopatch made this, rather than the caller

    def __init__(
        self,
        token: Given | TokenFunction = None,
        audience: str | Iterable[str] | None = None,
        *,
        force: bool | None = None,
        hosts: str | Iterable[str] | None = None,
    ) -> None:
        if not callable(token):
            check(token, "token=")
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

    @property
    def _requested(self) -> bool:
        """Whether the caller requested the token, with `token=` or `force=True`."""
        return self.force or not (self.token is None or self.token is False)

    @property
    def _renews(self) -> bool:
        """Whether there may be another token after a 401 or 403 to this one."""
        return self.token is None or self.token is True or callable(self.token)

    def _own_way(self, *, header: bool) -> Callable[[str], Given] | None:  # noqa: ARG002
        """Return how a subclass finds the token for a URL, if it has a way of its own.

        That may be by making the `header`.
        """
        return None

    def _decide(self, to: Target) -> Decision:
        """Find the token and decide what to do with it; the log says what and why.

        Raises
        ------
        ValueError
            If `REQUESTS_SCITOKENS_HOSTS` is not understood, for a chosen handler.
        """
        decision = self._find_and_decide(to)
        if state.log.isEnabledFor(logging.DEBUG):
            state.log.debug(
                "%s %s, %s: %s; reason: %s",
                to.method,
                to.origin or "a URL without a certain host",
                decision.found.name if decision.found.token else "no token",
                decision.action.value,
                decision.reason,
            )
        return decision

    def _find_and_decide(self, to: Target) -> Decision:
        hosts = self._hosts()
        if not to.url and self._requested and hosts is None:
            # A `requests.Request` that is not prepared: nothing can be sent from that.
            return Decision(Action.ATTACH, "there is no URL yet", self._find(to))
        at = self._situation(to, hosts)
        reason = barred(at)
        if reason:
            return Decision(Action.NEVER, reason)  # and no token is looked for
        found = self._find(to)
        if found.token is None:
            said = found.silent or bool(at.listed)
            if said and not found.silent and state.first_time("listed", found.reason):
                state.log.warning("no token was sent to %s: %s", to.origin, found.reason)
            return Decision(Action.NEVER, found.reason, found, said)
        accepted = (at.origin, found.token.holder) in state.accepted
        action, reason = decide(found.token, at, accepted=accepted)
        if action is Action.NEVER and self.is_default and hosts is None:
            _say_that_hosts_is_not_set(found.token, at)
        return Decision(action, reason, found)

    def _bars(self, to: Target) -> bool:
        """Tell whether no token at all may go there."""
        return bool(barred(self._situation(to, self._hosts())))

    def _situation(self, to: Target, hosts: tuple[HostPattern, ...] | None) -> Situation:
        """Describe a request in the words of the decision table."""
        origin = to.origin or NOWHERE
        listed = [entry for entry in hosts if entry.matches(origin)] if hosts else ()
        plain = ""
        if origin.scheme != "https" and "http" not in [entry.scheme for entry in listed]:
            if not is_loopback(origin.host):
                plain = "network"
            elif _leaves_by_proxy(to.url, to.proxies):
                plain = "proxy"
        redirectors = []
        for by in () if to.method in READS else to.passed:
            before = to._replace(url=f"{by}/", origin=by, passed=())
            redirectors.append(self._situation(before, hosts))
        return Situation(  # by position: a third of what keywords cost
            origin,
            self._requested,
            not self.is_default,
            None if hosts is None else bool(listed),
            to.once,
            bool(to.passed),
            to.elsewhere,
            tuple(redirectors),
            carries_credential(to.url),
            plain,
        )

    def _hosts(self) -> tuple[HostPattern, ...] | None:
        """Return where tokens may go: by `hosts=`, else by the environment."""
        if self.hosts:
            hosts = self.hosts
            return parse_hosts(hosts if isinstance(hosts, str) else tuple(hosts))
        text = os.environ.get("REQUESTS_SCITOKENS_HOSTS")
        if not text or text.isspace():
            return None
        try:
            return parse_hosts(text)
        except ValueError as error:
            if not self.is_default:
                raise ValueError(f"REQUESTS_SCITOKENS_HOSTS: {error}") from None
            if state.first_time("hosts", text):
                state.log.warning("no token is sent; REQUESTS_SCITOKENS_HOSTS: %s", error)
            return ()

    def _find(self, to: Target, *, header: bool = True) -> Found:
        """Get the token from where the caller said, or discover it."""
        given, name = self.token, "the token given with token="
        if callable(given):
            if to.elsewhere and to.earlier is not None:
                return Found(to.earlier, "the token for the caller's own URL")
            if to.elsewhere:
                return _none(
                    "a token function is not asked where a redirect leads elsewhere"
                )
            given = check(given(to.url), "what the token function returned")
            name = "the token that the token function returned"
            if given is None:
                return _none("the token function returned None for this URL")
        if given is False:
            return _none("token=False was given")
        if given is None or given is True:
            own_way = self._own_way(header=header)
            if own_way is None:
                return find(to, strings(self.audience, "audience="))
            given, name = own_way(to.url), "the token that the handler's class found"
            if given is None or given is False:
                return Found(reason="the handler's class found no token")
        return Found(BearerToken.parse(serialize_token(given)), name)


def _none(reason: str) -> Found:
    return Found(reason=reason, silent=True)


def _say_that_hosts_is_not_set(token: BearerToken, at: Situation) -> None:
    """Warn once in the process that the first program runs; its workers would repeat it."""
    if at.elsewhere or standing(token, at.origin) is not Standing.ANY:
        return
    multiprocessing = sys.modules.get("multiprocessing")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return
    if state.first_time("hosts is not set"):
        state.log.warning(
            "your token is for any server, so the autopatch sends it only to servers that "
            "REQUESTS_SCITOKENS_HOSTS lists, and that is not set; "
            "`python -m requests_scitokens URL` tells more"
        )


def _leaves_by_proxy(url: str, proxies: dict[str, str] | None) -> bool:
    """Tell whether a proxy that may be another machine gets a plain http request.

    Requests does not except loopback: `NO_PROXY` has to.
    """
    # To ask Requests takes half as long as a request on loopback, and most users have none.
    system_has_none = sys.platform not in ("darwin", "win32")
    if proxies is None and system_has_none and "_PROXY" not in " ".join(os.environ).upper():
        return False
    from requests import utils  # start-up waits for Requests

    try:
        known = utils.get_environ_proxies(url) if proxies is None else proxies
        proxy = utils.select_proxy(url, known)
        if not proxy:
            return False
        split = urlsplit(utils.prepend_scheme_if_needed(proxy, "http"))
    except ValueError:  # urllib3's errors about URLs are that, too
        return True  # Requests will say so, if it is used at all
    return split.scheme.startswith("socks") or not is_loopback(split.hostname or "")


def check(given: Any, what: str) -> Any:
    """Return what was given for a token, unless it cannot be one; nothing quotes it."""
    if given is None or isinstance(given, bool) or hasattr(given, "serialize"):
        return given
    problem: Exception | None = None
    if not isinstance(given, (str, bytes)):
        problem = TypeError(
            f"{what} is of type {type(given).__name__}; a SciToken, a str or bytes, True, "
            "or a function that returns one of these was expected"
        )
    else:
        try:
            BearerToken.parse(given)
        except MalformedTokenError as error:
            problem = MalformedTokenError(f"{what} is not a bearer token: {error}")
    if problem is not None:
        del given  # the traceback may be shown with what its frames hold
        raise problem
    return given


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


def serialize_token(token: SciToken | str | bytes) -> str:
    """Return a token as text: as it was serialised, or serialised now.

    Parameters
    ----------
    token : scitokens.SciToken, str or bytes
        The token.

    Raises
    ------
    ValueError
        If it is a `SciToken` with neither text nor private key.
    """
    if isinstance(token, str):
        return token
    if isinstance(token, bytes):
        return token.decode("latin-1")
    text = getattr(token, "_serialized_token", None)
    if not text and not getattr(token, "_key", True):
        raise ValueError(
            "the SciToken has not been serialised and holds no private key to do so; "
            "give the key to SciToken(key=...), or a serialised token"
        )
    return serialize_token(text or token.serialize())


def as_scitoken(token: BearerToken, discover_kwargs: dict[str, Any]) -> SciToken:
    """Return the token as a `SciToken`, verified only where keywords ask for it."""
    from scitokens import SciToken  # slow to import, and needed only here

    if discover_kwargs:
        return SciToken.deserialize(token.serialized, **discover_kwargs)
    scitoken = SciToken()
    scitoken.update_claims(token.claims or {})
    scitoken._serialized_token = token.serialized
    return scitoken
