"""WWW-Authenticate -> the Bearer challenge in it, if any."""

from __future__ import annotations

import re

# RFC 9110 section 11: a challenge is a scheme followed by nothing, by one token68,
# or by a list of name=value. Commas separate challenges and parameters alike, so
# the field is read item by item, and an item's own form says what it is. The
# patterns hold no nested repetition that could match in two ways: reading takes
# linear time, whatever a server sends.
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"([^"\\]*(?:\\.[^"\\]*)*)"?'  # never closed: it goes on to the end
_SEPARATORS = re.compile(r"[ \t,]*")
_PARAMETER = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:{_QUOTED}|([^ \t,"=]+))', re.DOTALL)
_SCHEME = re.compile(rf"({_WORD})(?=[ \t,]|\Z)")
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9\-._~+/]+=*[ \t]*(?=,|\Z)")
_JUNK = re.compile(rf'{_QUOTED}|[^ \t,"]+', re.DOTALL)


def bearer_challenge(field: object) -> dict[str, str] | None:
    r"""Find the Bearer challenge in a `WWW-Authenticate` field.

    Several fields are given as one, joined with commas, as RFC 9110 section 5.3 allows and
    urllib3 does. The result has the parameters of the first Bearer challenge (RFC 6750
    section 3), names in lower case; it is `None` where there is no such challenge.

    Examples
    --------
    >>> bearer_challenge('Basic realm="y", bearer scope="read:/", error="x \\"y\\""')
    {'scope': 'read:/', 'error': 'x "y"'}
    >>> bearer_challenge('Basic realm="Bearer"') is None
    True
    """
    if not isinstance(field, str):
        return None
    found: dict[str, str] | None = None
    in_bearer = False
    position = _end(_SEPARATORS, field, 0)
    while position < len(field):
        if match := _PARAMETER.match(field, position):
            if in_bearer and found is not None:
                name, quoted, plain = match.groups()
                value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                found.setdefault(name.lower(), value)
            position = match.end()
        elif match := _SCHEME.match(field, position):
            in_bearer = found is None and match[1].lower() == "bearer"
            found = {} if in_bearer else found
            position = _end(_TOKEN68, field, match.end())
        else:
            position = _end(_JUNK, field, position)
        position = _end(_SEPARATORS, field, position)
    return found


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position
