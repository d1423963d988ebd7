"""What to do about one request: which token, and whether it may go there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from .environment import hosts_setting
from .memory import said, taken
from .origin import Origin, origin_of
from .policy import SENDS, Action, HostPattern, Verdict, barred, judge, parse_hosts
from .source import Found
from .token import BearerToken

if TYPE_CHECKING:
    from .auth import HTTPSciTokenAuth

_log = logging.getLogger(__name__)


class Plan(NamedTuple):
    """What to do about a request.

    Attributes
    ----------
    token : BearerToken or None
        The token, only if it may be sent there, now or in answer to a refusal.
    verdict : Verdict
        What may be done, and why.
    found : Found
        What there was, and what is wrong with it.
    origin : Origin or None
        Where the request goes.
    """

    token: BearerToken | None
    verdict: Verdict
    found: Found
    origin: Origin | None

    @property
    def why(self) -> str:
        """Why it may be sent, or why not; and what to do about that."""
        return self.found.trouble or self.verdict.why

    @property
    def attached(self) -> BearerToken | None:
        """The token, if it goes with the request at once."""
        return self.token if self.verdict.action is Action.ATTACH else None


def make_plan(
    auth: HTTPSciTokenAuth,
    url: str | None,
    home: Origin | None = None,
    *,
    fresh: bool = False,
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
    """
    origin, hosts, asked = origin_of(url), hosts_now(auth), auth.asked
    why = barred(url or "", origin, hosts=hosts, asked=asked)
    if origin is None or why:
        return Plan(None, Verdict(Action.NEVER, why), Found(None), origin)
    found = auth.obtain(url, fresh=fresh)
    token = found.token
    if token is None:
        return Plan(None, Verdict(Action.NEVER, "there is no token"), found, origin)
    verdict = judge(
        token,
        origin,
        home=home or origin,
        hosts=hosts,
        asked=asked,
        chosen=not auth.is_default,
        taken=(origin, token.holder) in taken,
        audience=auth.audiences,
    )
    usable = not found.trouble and verdict.action in SENDS
    return Plan(token if usable else None, verdict, found, origin)


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
