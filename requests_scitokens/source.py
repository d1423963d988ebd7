"""Where a handler's token comes from: given, a function's, or discovered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from requests import PreparedRequest

from .discovery import TokenNotFoundError, find
from .files import expiring
from .look import Look
from .token import BearerToken, MalformedTokenError

if TYPE_CHECKING:
    from typing import TypeAlias

    from scitokens import SciToken

    Given: TypeAlias = SciToken | str | bytes | bool | None
    TokenFunction: TypeAlias = Callable[[str], Given]


class Found:
    """A token, and what keeps it from being used, if anything does.

    Attributes
    ----------
    token : BearerToken or None
        The token.
    trouble : str
        Why it cannot be used, or why there is none, and what to do.
    name : str
        How to speak of the token.
    passed : sequence of Look
        The places looked in before, and why none of them gave a token.
    """

    __slots__ = ("name", "passed", "token", "trouble")

    def __init__(
        self,
        token: BearerToken | None,
        trouble: str = "",
        name: str = "the token",
        passed: Sequence[Look] = (),
    ) -> None:
        self.token = token
        self.trouble = trouble
        self.name = name
        self.passed = passed

    def error(self, request: PreparedRequest | None = None) -> TokenNotFoundError:
        """Return the exception for those who want a token above all."""
        before = f"; before that: {_listed(self.passed)}" if self.passed else ""
        return TokenNotFoundError(
            f"no usable token: {self.trouble}{before}", request=request
        )


def check(given: object, what: str) -> None:
    """Refuse what cannot be a token, without quoting it.

    Raises
    ------
    TypeError
        If it is of another type.
    MalformedTokenError
        If it is text that is no bearer token.
    """
    error = _objection(given, what)
    if error is not None:
        raise error


def ask(function: TokenFunction, url: str) -> Given:
    """Call the caller's function; `check` what it returns.

    The exceptions are those of `check`, and the function's own.
    """
    given = function(url)
    error = _objection(given, "what the token function returned")
    if error is not None:
        given = None  # the traceback may be shown with what its frames hold
        raise error
    return given


def _objection(given: object, what: str) -> Exception | None:
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
    """Return a string, or several, as a tuple.

    Raises
    ------
    TypeError
        If there is anything but strings.
    """
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


def given_token(given: SciToken | str | bytes) -> BearerToken:
    """Return the token that the caller gave.

    A `SciToken` that holds its private key is serialised again, for as long as the
    last time, before it expires.
    """
    token = BearerToken.parse(serialize_token(given))
    if expiring(token) and getattr(given, "_key", None) is not None:
        claims = token.claims or {}
        lifetime = max(int(token.expires - claims.get("iat", token.expires)), 0) or 600
        # The issuer may have been an argument the last time, and no claim of its own.
        text = given.serialize(issuer=claims.get("iss"), lifetime=lifetime)  # type: ignore[union-attr]
        token = BearerToken.parse(text)
    return token


def discovered(url: str | None, audience: tuple[str, ...], *, fresh: bool = False) -> Found:
    """Discover the user's token; `fresh` as in `discovery.find`."""
    look, looks = find(url, audience, fresh=fresh)
    last = looks.pop() if look is None and looks[-1].ends else None
    if last is not None:
        return Found(None, f"{last}; correct or remove it", passed=looks)
    if look is None or look.token is None:
        get = "none was found; get one, for example with htgettoken"
        return Found(None, f"{get}; looked in: {_listed(looks)}")
    token, name = look.token, f"the token in {look.place}"
    trouble = token.expired()
    if trouble:
        trouble = f"{name} {trouble}; renew it, for example with htgettoken"
    elif audience and set(audience).isdisjoint(token.audience):
        wanted = ", ".join(audience)
        trouble = f"{name} is for {token.whom}, not for {wanted}; get one for {wanted}"
    return Found(token, trouble, name, looks)


def _listed(looks: Iterable[Look]) -> str:
    return "; ".join(map(str, looks))


def as_scitoken(token: BearerToken, discover_kwargs: dict[str, Any]) -> SciToken:
    """Return the token as a `SciToken`, verified only where keywords ask for it."""
    from scitokens import SciToken  # slow to import, and needed only here

    if discover_kwargs:
        return SciToken.deserialize(token.serialized, **discover_kwargs)
    scitoken = SciToken()
    scitoken.update_claims(token.claims or {})
    scitoken._serialized_token = token.serialized
    return scitoken
