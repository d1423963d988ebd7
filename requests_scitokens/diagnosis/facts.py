"""What the diagnosis finds out, as `--json` prints it."""

from __future__ import annotations

from typing import TypedDict


class Token(TypedDict, total=False):
    """A token's claims, in words; of an opaque token only that it is one."""

    opaque: bool
    issuer: str
    subject: str
    audience: list[str]
    scope: str
    valid: str
    expires: float | None


class File(TypedDict):
    """The file that a place stands for; no `path` where it may hold a token."""

    path: str
    mode: str
    owner: str
    exposed: bool


class _Place(TypedDict):
    place: str
    reason: str
    decides: bool
    expired: bool


class Place(_Place, total=False):
    """A place where a token is looked for."""

    token: Token
    file: File


class Autopatch(TypedDict):
    """Whether the autopatch is on, and where it may send tokens."""

    variable: str | None
    on: bool
    state: str
    files: list[str]
    problem: str
    hosts: str
    hosts_problem: str


class Way(TypedDict):
    """What one way to use the package would do with the URL."""

    way: str
    sends: bool
    action: str
    why: str


class Url(TypedDict):
    """Where a request would go, and what each way in would send there."""

    shown: str
    ways: list[Way]


class Exchange(TypedDict):
    """One request and what the server answered."""

    method: str
    url: str
    token: bool
    status: int
    challenge: str | None
    html: bool


class Trial(TypedDict):
    """A request that was made, with all its exchanges."""

    with_token: bool
    exchanges: list[Exchange]
    status: int | None
    error: str | None


class _Facts(TypedDict):
    version: str
    places: list[Place]
    autopatch: Autopatch
    usable: bool
    verdict: str
    advice: list[str]


class Facts(_Facts, total=False):
    """All of it; what was not asked for is missing."""

    url: Url
    tries: list[Trial]
    signature: str
