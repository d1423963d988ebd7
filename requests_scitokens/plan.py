"""What to do about one request: which token, and whether it may go there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from .environment import hosts_setting, leaves_by_proxy
from .memory import said, taken
from .origin import Origin, is_loopback, origin_of
from .policy import ATTACH, NEVER, SENDS, Action, HostPattern, barred, judge, parse_hosts
from .source import Found
from .token import BearerToken

if TYPE_CHECKING:
    from .auth import HTTPSciTokenAuth

_log = logging.getLogger(__name__)


class Plan:
    """What to do about a request.

    Attributes
    ----------
    token : BearerToken or None
        The token, only if it may be sent there, now or in answer to a refusal.
    action : Action
        What may be done.
    rule : str
        What says so, in words.
    found : Found
        What there was, and what is wrong with it.
    origin : Origin or None
        Where the request goes.
    """

    __slots__ = ("action", "found", "origin", "rule", "token")

    def __init__(
        self,
        token: BearerToken | None,
        action: Action,
        rule: str,
        found: Found,
        origin: Origin | None,
    ) -> None:
        self.token = token
        self.action = action
        self.rule = rule
        self.found = found
        self.origin = origin

    @property
    def why(self) -> str:
        """Why it may be sent, or why not; and what to do about that."""
        return self.found.trouble or self.rule

    @property
    def attached(self) -> BearerToken | None:
        """The token, if it goes with the request at once."""
        return self.token if self.action == ATTACH else None


def make_plan(
    auth: HTTPSciTokenAuth,
    url: str | None,
    home: Origin | None = None,
    *,
    fresh: bool = False,
    proxies: dict[str, str] | None = None,
) -> Plan:
    """Decide about a request to this URL.

    Parameters
    ----------
    auth : HTTPSciTokenAuth
        Whose request it is.
    url : str or None
        Where it goes.
    home : Origin, optional
        Where the caller sent it; another origin after a redirect.
    fresh : bool, optional
        Whether token files are read again although nothing about them has changed.
    proxies : dict, optional
        What it was sent with; by default what the environment says.
    """
    origin, hosts, asked = origin_of(url), hosts_now(auth), auth.asked
    rule = why_barred(url or "", origin, hosts, asked, proxies)
    if origin is None or rule:
        return Plan(None, NEVER, rule, Found(None), origin)
    found = auth.obtain(url, fresh=fresh)
    token = found.token
    if token is None:
        return Plan(None, NEVER, "there is no token", found, origin)
    action, rule = judge(
        token,
        origin,
        redirected=home is not None and home != origin,
        hosts=hosts,
        asked=asked,
        chosen=not auth.is_default,
        taken=(origin, token.holder) in taken,
        audience=auth.audiences,
    )
    usable = not found.trouble and action in SENDS
    return Plan(token if usable else None, action, rule, found, origin)


def why_barred(
    url: str,
    origin: Origin | None,
    hosts: tuple[HostPattern, ...] | None,
    asked: bool,
    proxies: dict[str, str] | None = None,
) -> str:
    """Say why no token at all may go to this URL, from here; as `policy.barred`."""
    proxied = (
        origin is not None
        and origin.scheme == "http"
        and is_loopback(origin.host)
        and leaves_by_proxy(url, proxies)
    )
    return barred(url, origin, hosts=hosts, asked=asked, proxied=proxied)


def hosts_now(auth: HTTPSciTokenAuth) -> tuple[HostPattern, ...] | None:
    """Return where tokens may go: by `hosts=`, else by the environment.

    Raises
    ------
    ValueError
        If the environment's is not understood. A handler that the autopatch made
        sends no token then.
    """
    if auth.hosts is not None:
        return parse_hosts(auth.hosts)
    text = hosts_setting()
    if not text:
        return None
    try:
        return parse_hosts(text)
    except ValueError as error:
        if not auth.is_default:
            raise ValueError(f"REQUESTS_SCITOKENS_HOSTS: {error}") from None
        if text not in said:
            said.add(text)
            _log.warning("no token is sent; REQUESTS_SCITOKENS_HOSTS: %s", error)
        return ()
