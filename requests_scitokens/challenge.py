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
_PARAMETER = rf'({_WORD})[ \t]*=[ \t]*(?:{_QUOTED}|([^ \t,"=]+))'
_TOKEN68 = r"[ \t]+[A-Za-z0-9\-._~+/]+=*[ \t]*(?=,|\Z)"
_SCHEME = rf"({_WORD})(?=[ \t,]|\Z)(?:{_TOKEN68})?"
_JUNK = rf'{_QUOTED}|[^ \t,"]+'
_ITEM = f"(?s:{_PARAMETER}|{_SCHEME}|{_JUNK})"


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
    for match in re.finditer(_ITEM, field):
        name, quoted, plain, scheme, _ = match.groups()
        if scheme:
            in_bearer = found is None and scheme.lower() == "bearer"
            found = {} if in_bearer else found
        elif name and in_bearer and found is not None:
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found.setdefault(name.lower(), value)
    return found
