"""What one place gave: a token, or the reason why not."""

from __future__ import annotations

from .token import BearerToken, MalformedTokenError


class Look:
    """What one place gave: a token that may be used, or a reason.

    Attributes
    ----------
    place : str
        The place, as a person would name it.
    token : BearerToken or None
        The token found there.
    reason : str
        Why there is none, or why it is not used.
    ends : bool
        Whether the search ends here.
    path : str
        The file, where there is one.
    """

    __slots__ = ("ends", "path", "place", "reason", "token")

    def __init__(
        self,
        place: str,
        token: BearerToken | None = None,
        reason: str = "",
        ends: bool = False,
        path: str = "",
    ) -> None:
        self.place = place
        self.token = token
        self.reason = reason
        self.ends = ends
        self.path = path

    def __str__(self) -> str:
        return f"{self.place}: {self.reason or 'a token'}"


def look_at_text(place: str, text: str) -> Look:
    """Judge text that was found in a place where a token is meant to be."""
    try:
        return Look(place, BearerToken.parse(text))
    except MalformedTokenError as error:
        return Look(place, reason=f"not a bearer token: {error}", ends=True)


def trouble(error: OSError) -> str:
    """Return what went wrong, in words."""
    return error.strerror or type(error).__name__
