"""hosts= and REQUESTS_SCITOKENS_HOSTS: the hosts that tokens may go to; pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from ._origin import DEFAULT_PORTS, Origin, split_host_port
from ._shown import may_be_shown


class HostPattern(NamedTuple):
    """The hosts that an entry of `hosts`, or of a token's audience, stands for.

    `scheme` and `port` are `None` where any will do. A `host` of `*.example.org` stands
    for every name below `example.org`; an empty one matches nothing.
    """

    scheme: str | None
    host: str
    port: int | None

    def matches(self, origin: Origin) -> bool:
        """Tell whether the origin is one of them."""
        if self.scheme not in (None, origin.scheme) or self.port not in (None, origin.port):
            return False
        if self.host.startswith("*."):
            return origin.host.endswith(self.host[1:])
        return origin.host == self.host

    def __str__(self) -> str:
        scheme = f"{self.scheme}://" if self.scheme else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}{host}" + (f":{self.port}" if self.port else "")


@lru_cache(maxsize=256)
def parse_hosts(hosts: str | tuple[str, ...]) -> tuple[HostPattern, ...]:
    """Read the hosts that tokens may go to; commas separate them in a string.

    An entry is like `storage.example.org`, `*.example.org`, `https://host:1094` or
    `http://localhost:8080`. A blank one is passed over. What is none of these, or would
    match too much, is a `ValueError`.
    """
    entries: Iterable[str] = hosts.split(",") if isinstance(hosts, str) else hosts
    return tuple(_parse_host(entry.strip()) for entry in entries if entry.strip())


# Below these are parts of an address, or names of many organisations. A country's own
# second level, as in example.co.uk, is a guess: the whole list (publicsuffix.org) is long
# and changes weekly; these are the ones that a person would write.
_TOO_WIDE = (
    r".*:.*|(?:.*\.)?(?:[0-9]+|0x.*)"
    r"|[^.]+|(?:ac|asn|asso|co|com|ed|edu|ernet|gc|gen|go|gob|gouv|gov|govt|gv|id|idf|ind"
    r"|ltd|me|mil|nat|ne|net|nhs|nic|nom|or|org|plc|police|re|res|sch|school)\.[a-z]{2}"
)


def _parse_host(entry: str) -> HostPattern:
    scheme, separator, rest = entry.rpartition("://")
    scheme, rest = scheme.lower(), rest.removesuffix("/")
    wildcard = rest.startswith("*.")
    name = rest[2:] if wildcard else rest
    found = split_host_port(name)
    if separator and scheme not in DEFAULT_PORTS:
        problem = "the scheme can only be http:// or https://"
    elif re.search(r"[/?#]", rest):
        problem = "give the host only, without a path"
    elif "*" in name:
        problem = "a star stands only for names below another, as in *.example.org"
    elif found is None:
        problem = "it is not a host name"
    elif wildcard and re.fullmatch(_TOO_WIDE, found[0]):
        problem = "it would match far more than one organisation's hosts"
    else:
        return HostPattern(scheme or None, ("*." if wildcard else "") + found[0], found[1])
    shown = repr(entry) if may_be_shown(entry) else "an entry that may hold a token"
    raise ValueError(
        f"{shown} cannot be one of the hosts that tokens may go to: {problem}; write "
        "for example storage.example.org, *.example.org or https://host:1094"
    )
