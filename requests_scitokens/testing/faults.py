"""What can go wrong with a request, so that retries can be tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request; `Fault()` is nothing, so it is answered as usual.

    Attributes
    ----------
    status : int
        What it is answered with, such as 503 or 429; no token is looked at, and nothing
        is stored. 0 stands for the usual answer.
    retry_after : int or str, optional
        The `Retry-After` field that goes with `status`: seconds, or a date (RFC 9110
        section 10.2.3).
    hang_up : {"", "before", "after", "halfway"}
        When the server closes the connection, if not empty: before the request's body is
        read; after the request is carried out, without an answer; after half of the
        answer's body.
    delay : float
        How long the server waits before it answers or hangs up, in seconds. It has read
        the request by then.

    Raises
    ------
    ValueError
        If `hang_up` is none of these, or `retry_after` is given without `status`.
    """

    status: int = 0
    retry_after: int | str | None = None
    hang_up: Literal["", "before", "after", "halfway"] = ""
    delay: float = 0

    def __post_init__(self) -> None:
        if self.hang_up not in ("", "before", "after", "halfway"):
            raise ValueError(f"hang_up={self.hang_up!r} is none of before, after, halfway")
        if self.retry_after is not None and not self.status:
            raise ValueError("retry_after needs a status: Fault(503, retry_after=1)")
