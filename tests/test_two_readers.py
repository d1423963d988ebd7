"""A URL that two readers take for two things leads no token anywhere.

Thousands of odd Locations are made of pieces, by a seed that is shown. Sessions that keep
the header follow them as Requests does; which host each request goes to is written down in
place of a connection.
"""

from __future__ import annotations

import io
import random
from contextlib import suppress

import pytest
import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse
from urllib3.util import parse_url

import requests_scitokens
from requests_scitokens import HTTPSciTokenAuth

from .ways import AsksAgain, Keeps

HOME = "home.example.org"
EVIL = "evil.example.org"
SCHEMES = [
    "https:",
    "HTTPS:",
    "hTTps:",
    "http:",
    "",
    "https",
    " https:",
    "\thttps:",
    "ftp:",
]
SLASHES = ["//", "/", "", "///", "////", "\\\\", "/\\", "\\/", "//\t", "/\n/", "/./", "//."]
USERS = [
    "",
    "home.example.org@",
    "a:b@",
    f"{HOME}\\@",
    f"{HOME}#@",
    f"{HOME}?@",
    "%40",
    "@@",
]
HOSTS = [EVIL, EVIL.upper(), f"{EVIL}.", f"{EVIL}:443", f"{EVIL}:0443", HOME,
         f"{HOME}:444", f"{HOME}.{EVIL}", f"{HOME}%2f@{EVIL}", "[::1]", "evil。example.org", f"{EVIL}\t", ""]  # fmt: skip # noqa: E501
PATHS = [
    "",
    "/",
    "/steal",
    "//steal",
    "\\steal",
    "?x=y",
    "#x",
    f"//{EVIL}",
    f"/@{EVIL}",
    ":80",
]
SEED = random.randrange(10**6)


class Anywhere(BaseAdapter):
    """Redirects the first request; writes down where each one would connect."""

    def __init__(self):
        super().__init__()
        self.location = ""
        self.arrived = []

    def send(self, request, **kwargs):
        url = parse_url(request.url)  # which urllib3 connects by
        token = str(request.headers.get("Authorization")).startswith("Bearer")
        self.arrived.append((url.scheme, url.host, url.port, token))
        first = len(self.arrived) == 1
        response = requests.Response()
        response.status_code = 307 if first else 200
        fields = {"Location": self.location} if first else {}
        response.raw = HTTPResponse(io.BytesIO(), fields, preload_content=False)
        response.headers.update(fields)
        response.url, response.request, response.connection = request.url, request, self
        return response

    def close(self):
        pass


def locations(count):
    source = random.Random(SEED)
    for _ in range(count):
        yield "".join(
            source.choice(part) for part in (SCHEMES, SLASHES, USERS, HOSTS, PATHS)
        )


KNOWN = [
    f"https:////{EVIL}/steal",
    f"https:///{EVIL}/steal",
    f"https:/{EVIL}/steal",
    f"////{EVIL}/steal",
    f"/\\{EVIL}/steal",
    f"\\\\{EVIL}/steal",
    f"//{EVIL}/steal",
    f"https:\\\\{EVIL}/steal",
    f"https://{HOME}\\@{EVIL}/steal",
    f"https://{HOME}:443@{EVIL}/steal",
    f"\thttps://{EVIL}/steal",
    f"ht\ttps://{EVIL}/steal",
]


@pytest.mark.parametrize(
    "kind", [Keeps, AsksAgain, requests.Session, requests_scitokens.Session]
)
@pytest.mark.parametrize("way", ["auth=", "autopatch"])
def test_an_odd_location_leads_no_token_away(kind, way, issuer, token_file, request):
    if way == "autopatch":
        request.getfixturevalue("patched")
    token_file.write_text(issuer.mint(audience=f"https://{HOME}:443"))
    away = 0
    with kind() as session:
        if way == "auth=":
            session.auth = HTTPSciTokenAuth(hosts=f"https://{HOME}:443")
        for location in (*KNOWN, *locations(1500)):
            adapter = Anywhere()
            adapter.location = location
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            with suppress(requests.RequestException, ValueError):
                session.get(f"https://{HOME}/start")
            assert adapter.arrived[0][3], "the token goes to its own server"
            for scheme, host, port, token in adapter.arrived[1:]:
                at_home = (scheme, (host or "").lower(), port or 443) == (
                    "https",
                    HOME,
                    443,
                )
                away += not at_home
                assert at_home or not token, f"seed {SEED}: {location!r} led it to {host}"
    assert away > 100


@pytest.mark.parametrize("kind", [Keeps, requests.Session])
@pytest.mark.parametrize("location", ["/next", "next", "?a=b", f"https://{HOME}/next"])
def test_a_plain_one_within_the_server_keeps_it(kind, location, issuer, token_file):
    token_file.write_text(issuer.mint(audience=f"https://{HOME}"))
    with kind() as session:
        adapter = Anywhere()
        adapter.location = location
        session.mount("https://", adapter)
        session.get(f"https://{HOME}/start", auth=HTTPSciTokenAuth())
    assert [token for *_, token in adapter.arrived] == [True, True]
