"""What type checkers are to accept, and what not: `make types` runs them on this.

Where an error is meant to be, it is ignored; an ignored error that is not there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

import requests_scitokens.patch
from requests_scitokens import (
    Given,
    HTTPSciTokenAuth,
    MalformedTokenError,
    Session,
    TokenFunction,
    TokenNotFoundError,
    explain,
    get,
    patch,
)

if TYPE_CHECKING:
    from scitokens import SciToken

URL = "https://storage.example.org/data"


def all_is_well(token: SciToken) -> None:
    """Use it as users do."""
    requests_scitokens.patch.enable()
    patch(URL, data=b"")
    response: requests.Response = get(URL, timeout=3, hosts=["storage.example.org"])
    requests.get(URL, auth=HTTPSciTokenAuth(lambda url: f"token for {url}"), timeout=3)
    requests.get(URL, auth=HTTPSciTokenAuth(token), timeout=3)
    with Session(force=True) as session:
        session.get(URL).raise_for_status()
    try:
        requests_scitokens.put(URL, data=response.iter_content(), force=True)
    except TokenNotFoundError:
        assert explain(URL)


def wrapped(url: str, token: Given | TokenFunction = None) -> SciToken:
    """Write a wrapper, which repeats the types of what it hands on."""
    try:
        get(url, token=token)
    except MalformedTokenError as error:
        raise ValueError(str(error)) from None
    perhaps: SciToken | None = HTTPSciTokenAuth().find_token(url, error=False)
    return perhaps or HTTPSciTokenAuth(token).find_token(url)


def nothing_is_well() -> None:
    """Misspell it, and give what is no token."""
    from requests_scitokens import pot  # type: ignore[attr-defined] # noqa: F401

    get(URL, tokn="abc")  # type: ignore[call-arg]
    get(URL, token=3)  # type: ignore[arg-type]
    HTTPSciTokenAuth(token=3)  # type: ignore[arg-type]
    HTTPSciTokenAuth(tokens="abc")  # type: ignore[call-arg]
    HTTPSciTokenAuth(hosts=3)  # type: ignore[arg-type]
    requests_scitokens.gett(URL)  # type: ignore[attr-defined]
    requests_scitokens.patch.enabel()  # type: ignore[attr-defined]
