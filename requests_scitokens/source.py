"""What the caller said about the token; finds it, and decides what to do with it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from . import state
from .discovery import READS, Found, Wanted, find
from .hosts import HostPattern, parse_hosts
from .origin import Origin, carries_credential, is_loopback
from .policy import Action, Situation, Standing, barred, decide, standing
from .token import BearerToken, MalformedTokenError

if TYPE_CHECKING:
    from typing import TypeAlias

    from scitokens import SciToken

    Given: TypeAlias = "SciToken | str | bytes | bool | None"
    TokenFunction: TypeAlias = Callable[[str], Given]


_NO_HOST = (
    "the URL does not say for certain which host is meant; write it plainly, as in "
    "https://storage.example.org/path"
)


class Target(NamedTuple):
    """Where a request goes, and how it came to go there."""

    url: str
    origin: Origin | None  # what `origin_of` says of the URL
    method: str = "GET"
    start: Origin | None = None  # where the caller sent it; `None` for here
    passed: tuple[Origin, ...] = ()  # the origins whose redirects led here
    once: bool = False  # whether it is an upload, which is sent only once
    proxies: dict[str, str] | None = None  # `None` for those of the environment
    refused: tuple[BearerToken, ...] = ()  # what the server has just answered 401 or 403
    earlier: BearerToken | None = None  # the token for the caller's own URL


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
        return self.found.token if self.action is Action.WAIT else self.attached


class Source(NamedTuple):
    """What the caller said about the token, as `HTTPSciTokenAuth` takes it."""

    token: Given | TokenFunction = None
    audience: tuple[str, ...] = ()
    force: bool = False
    hosts: str | tuple[str, ...] | None = None
    chosen: bool = True  # whether the caller put the handler there, or the autopatch
    finds: Callable[[str], Given] | None = None  # how a subclass finds tokens for a URL

    def __repr__(self) -> str:
        return "Source()"  # a token never shows

    @property
    def requested(self) -> bool:
        """Whether the caller requested the token, with `token=` or `force=True`."""
        return self.force or not (self.token is None or self.token is False)

    @property
    def renews(self) -> bool:
        """Whether there may be another token after a 401 or 403 to this one."""
        return self.token is None or self.token is True or callable(self.token)

    def decide(self, target: Target) -> Decision:
        """Find the token and decide what to do with it; the log says what and why.

        Raises
        ------
        ValueError
            If `REQUESTS_SCITOKENS_HOSTS` is not understood, for a chosen handler.
        """
        decision = self._decide(target)
        if state.log.isEnabledFor(logging.DEBUG):
            state.log.debug(
                "%s %s, %s: %s; reason: %s",
                target.method,
                target.origin or "a URL without a certain host",
                decision.found.name if decision.found.token else "no token",
                decision.action.value,
                decision.reason,
            )
        return decision

    def _decide(self, target: Target) -> Decision:
        hosts = self._hosts()
        if target.origin is None:
            if not target.url and self.requested and hosts is None:
                # A `requests.Request` that is not prepared: nothing can be sent from that.
                return Decision(Action.ATTACH, "there is no URL yet", self.find(target))
            return Decision(Action.NEVER, _NO_HOST)
        at = self._situation(target, target.origin, hosts)
        reason = barred(at)
        if reason:
            return Decision(Action.NEVER, reason)
        found = self.find(target)
        token = found.token
        if token is None:
            said = found.silent or bool(at.listed)
            if said and not found.silent and state.first_time("listed", found.reason):
                state.log.warning(
                    "no token was sent to %s: %s", target.origin, found.reason
                )
            return Decision(Action.NEVER, found.reason, found, said)
        accepted = (target.origin, token.holder) in state.accepted
        action, reason = decide(token, at, accepted=accepted)
        if action is Action.NEVER and not self.chosen and hosts is None:
            _say_that_hosts_is_not_set(token, at)
        return Decision(action, reason, found)

    def bars(self, target: Target) -> bool:
        """Tell whether no token at all may go there."""
        origin = target.origin
        return origin is None or bool(
            barred(self._situation(target, origin, self._hosts()))
        )

    def _situation(
        self, target: Target, origin: Origin, hosts: tuple[HostPattern, ...] | None
    ) -> Situation:
        """Describe a request to this origin, in the words of the decision table."""
        listed = [entry for entry in hosts if entry.matches(origin)] if hosts else ()
        plain = ""
        if origin.scheme != "https" and not any(entry.scheme == "http" for entry in listed):
            if not is_loopback(origin.host):
                plain = "network"
            elif _leaves_by_proxy(target.url, target.proxies):
                plain = "proxy"
        redirectors = []
        for by in target.passed if target.method not in READS else ():
            before = target._replace(url=f"{by}/", origin=by, passed=())
            redirectors.append(self._situation(before, by, hosts))
        elsewhere = target.start is not None and target.start != origin
        return Situation(  # by position, which costs a third
            origin,
            self.requested,
            self.chosen,
            None if hosts is None else bool(listed),
            target.once,
            bool(target.passed),
            elsewhere,
            tuple(redirectors),
            carries_credential(target.url),
            plain,
        )

    def _hosts(self) -> tuple[HostPattern, ...] | None:
        """Return where tokens may go: by `hosts=`, else by the environment."""
        if self.hosts:
            return parse_hosts(self.hosts)
        text = os.environ.get("REQUESTS_SCITOKENS_HOSTS", "").strip()
        if not text:
            return None
        try:
            return parse_hosts(text)
        except ValueError as error:
            if self.chosen:
                raise ValueError(f"REQUESTS_SCITOKENS_HOSTS: {error}") from None
            if state.first_time("hosts", text):
                state.log.warning("no token is sent; REQUESTS_SCITOKENS_HOSTS: %s", error)
            return ()

    def find(self, target: Target) -> Found:
        """Get the token from where the caller said, or discover it."""
        given, name = self.token, "the token given with token="
        if callable(given):
            if target.start is not None and target.start != target.origin:
                if target.earlier is not None:
                    return Found(target.earlier, "the token for the caller's own URL")
                reason = "a token function is not asked where a redirect leads elsewhere"
                return Found(reason=reason, silent=True)
            given = given(target.url)
            error = objection(given, "what the token function returned")
            if error is not None:
                given = None  # the traceback may be shown with what its frames hold
                raise error
            name = "the token that the token function returned"
            if given is None:
                reason = "the token function returned None for this URL"
                return Found(reason=reason, silent=True)
        if given is False:
            return Found(reason="token=False was given", silent=True)
        if given is None or given is True:
            if self.finds is None:
                wanted = (target.origin, target.method, self.audience, target.refused)
                return find(Wanted(*wanted))
            given, name = self.finds(target.url), "the token that the handler's class found"
            if given is None or given is False:
                return Found(reason="the handler's class found no token")
        return Found(BearerToken.parse(serialize_token(given)), name)


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


def objection(given: object, what: str) -> Exception | None:
    """Return the error if this cannot be a token; it does not quote it."""
    if isinstance(given, (str, bytes)):
        try:
            BearerToken.parse(given)
        except MalformedTokenError as error:
            return MalformedTokenError(f"{what} is not a bearer token: {error}")
    elif not (given is None or isinstance(given, bool) or hasattr(given, "serialize")):
        return TypeError(
            f"{what} is of type {type(given).__name__}; a SciToken, a str or bytes, True, "
            "or a function that returns one of these was expected"
        )
    return None


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
        The token. A `SciToken` that has not been serialised needs its private key.

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
