"""What each way to use the package would send to a URL."""

from __future__ import annotations

from requests_scitokens.discovery import Target
from requests_scitokens.policy import Action
from requests_scitokens.source import Source

from .facts import Way

_DEFAULT = Source()
_DEFAULT.is_default = True

#: The ways, in the order in which they are shown; the first is what most programs use.
WAYS = {
    "auth=HTTPSciTokenAuth(), get(), Session": Source(),
    "force=True": Source(force=True),
    "the autopatch": _DEFAULT,
}


def ways(target: Target, hosts_problem: str) -> list[Way]:
    """Say what each way would send, and the reason.

    Parameters
    ----------
    target : Target
        Where the request would go.
    hosts_problem : str
        What is wrong with `REQUESTS_SCITOKENS_HOSTS`; empty if nothing is.
    """
    if not hosts_problem:
        return [_way(name, source, target) for name, source in WAYS.items()]
    return [
        Way(
            way=name,
            sends=False,
            action=Action.NEVER.value if source.is_default else "raise a ValueError",
            why=hosts_problem,
        )
        for name, source in WAYS.items()
    ]


def _way(name: str, source: Source, target: Target) -> Way:
    decision = source._decide(target)
    action, reason = decision.action.value, decision.reason
    if decision.found.reason:
        reason = "there is no usable token (see above)"
    # Where no token may go, nobody has looked for one yet.
    if source.force and (decision.found.token or source._find(target).token) is None:
        action = "raise a TokenNotFoundError"
    return Way(way=name, sends=decision.token is not None, action=action, why=reason)
