"""URLs, audiences and hosts that look like another host than they are.

What a URL's host is, Requests decides: the tests let it connect, write down which name it
looks up, and let it find nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from base64 import b64encode
from contextlib import suppress

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from requests_scitokens import HTTPSciTokenAuth, Session
from requests_scitokens._hosts import parse_hosts
from requests_scitokens._origin import Origin, is_loopback, origin_of
from requests_scitokens._policy import Situation, Standing, barred, standing
from requests_scitokens._token import BearerToken

GOOD = Origin("https", "good.example", 443)
EVIL = Origin("https", "evil.example", 443)

#: A token for good.example; it has no signature, which nobody here looks at.
FOR_GOOD = "e30." + b64encode(b'{"aud":"https://good.example"}').decode() + ".c2ln"

# How fast the machine is must not matter, and nothing is written beside the tests.
anything = settings(deadline=None, database=None)


# What Requests says of a URL that it does not take, and of a host that it cannot find.
REFUSALS = (requests.RequestException, HTTPError, ValueError)


def prepare(url: str) -> str | None:
    """Return the URL as Requests would send it; None if it refuses to."""
    try:
        return requests.Session().prepare_request(requests.Request("GET", url)).url
    except REFUSALS:
        return None


def connects_to(url: str) -> Origin | None:
    """Let Requests connect, and return where to; None if it refuses to."""
    looked_up: list[tuple[str, int]] = []

    def look_up(host: str, port: int, *_: object) -> None:
        looked_up.append((host, port))
        raise socket.gaierror(socket.EAI_NONAME, "there are no hosts here")

    request = requests.PreparedRequest()
    request.prepare("GET", "https://good.example/")
    request.url = url
    with pytest.MonkeyPatch.context() as patch, suppress(*REFUSALS):
        patch.setattr("socket.getaddrinfo", look_up)
        HTTPAdapter().send(request)
    if not looked_up:
        return None
    ((host, port),) = looked_up
    host = host.removesuffix(".")
    if ":" in host:
        host = ipaddress.IPv6Address(host).compressed
    return Origin(parse_url(url).scheme or "", host, port)


URLS: list[tuple[str, str | None]] = [
    # user information, paths, queries and fragments that look like a host
    ("https://good.example@evil.example/", "https://evil.example"),
    ("https://good.example:443@evil.example/", "https://evil.example"),
    ("https://user:good.example@evil.example/", "https://evil.example"),
    ("https://a@good.example@evil.example/", "https://evil.example"),
    ("https://good.example%40evil.example/", None),
    ("https://good.example%2f@evil.example/", "https://evil.example"),
    ("https://evil.example/good.example", "https://evil.example"),
    ("https://evil.example/@good.example", "https://evil.example"),
    ("https://evil.example?@good.example", "https://evil.example"),
    ("https://evil.example#@good.example", "https://evil.example"),
    # names with the good one in them
    ("https://good.example.evil.example", "https://good.example.evil.example"),
    ("https://evil-good.example", "https://evil-good.example"),
    ("https://good.example%00.evil.example", None),
    # case and trailing dots
    ("HTTPS://GOOD.EXAMPLE/", "https://good.example"),
    ("https://good.example./", "https://good.example"),
    ("https://good.example../", None),
    ("https://.good.example/", None),
    ("https://good..example/", None),
    # ports
    ("https://good.example:443/", "https://good.example"),
    ("https://good.example:/", "https://good.example"),
    ("https://good.example:00443/", "https://good.example"),
    ("https://good.example:80/", "https://good.example:80"),
    ("http://good.example:443/", "http://good.example:443"),
    ("https://good.example:65535/", "https://good.example:65535"),
    ("https://good.example:65536/", None),
    ("https://good.example:-1/", None),
    ("https://good.example:443:444/", None),
    ("https://good.example:4\u0664\u0663/", None),
    # backslashes, tabs, newlines and other white space
    ("https:\\\\good.example/", None),
    ("https://good.example\t.evil.example/", None),
    ("https://good.ex\nample/", None),
    ("https://good.example\r\n.evil.example/", None),
    ("https://good.example /", None),
    ("https:// good.example/", None),
    # other names for other hosts: IDNA, and scripts that look alike
    ("https://g\u043e\u043ed.example/", "https://xn--gd-fmca.example"),
    ("https://xn--gd-fmca.example/", "https://xn--gd-fmca.example"),
    ("https://b\xfccher.example/", "https://xn--bcher-kva.example"),
    ("https://B\xdcCHER.example/", "https://xn--bcher-kva.example"),
    ("https://stra\xdfe.example/", "https://xn--strae-oqa.example"),
    ("https://\uff47ood.example/", None),  # full width
    ("https://good\u3002example/", None),  # an ideographic full stop
    ("https://good.example\uff0fevil.example/", None),  # a full width slash
    ("https://good\u200d.example/", None),  # a joiner of width zero
    ("https://good.example\ud800/", None),
    # addresses
    ("https://127.0.0.1/", "https://127.0.0.1"),
    ("https://[::1]/", "https://[::1]"),
    ("https://[0:0:0:0:0:0:0:1]:443/", "https://[::1]"),
    ("https://[2001:DB8:0::1]/", "https://[2001:db8::1]"),
    ("https://[fe80::1%25eth0]/", None),
    ("https://[fe80::1%eth0]/", None),
    ("https://[::1].evil.example/", None),
    ("https://[::1/", None),
    ("https://[good.example]/", None),
    ("https://[v1.good]/", None),
    # not HTTP
    ("https:good.example", None),
    ("https:/good.example", None),
    ("https:///good.example", None),
    ("//good.example", None),
    ("good.example", None),
    ("ftp://good.example", None),
    ("http+unix://good.example", None),
    ("https://", None),
    ("https://@", None),
    ("https://:443", None),
]


@pytest.mark.parametrize(("url", "origin"), URLS, ids=ascii)
def test_the_origin_of_a_url_is_where_requests_connects_to(url, origin):
    sent = prepare(url)
    found = origin_of(sent)
    assert (found and str(found)) == origin
    for one in (url, sent):
        if one is not None and origin_of(one) is not None:
            assert connects_to(one) == origin_of(one)


@pytest.mark.parametrize(
    "url",
    [
        "https://good.example%2eevil.example",
        "https://good%2eexample",
        "https://good.example\\@evil.example/",
        "https://evil.example\\.good.example/",
        " https://good.example/",
    ],
)
def test_what_can_be_read_in_two_ways_has_no_origin_until_requests_has_read_it(url):
    assert origin_of(url) is None
    sent = prepare(url)  # some versions refuse to
    assert origin_of(sent) == (sent and connects_to(sent))


@pytest.mark.parametrize("auth", [{}, {"hosts": "good.example"}], ids=["aud", "hosts"])
@pytest.mark.parametrize("url", [url for url, _ in URLS], ids=ascii)
def test_the_token_is_on_requests_to_the_host_that_is_meant_alone(url, auth, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", FOR_GOOD)
    try:
        request = requests.Request("GET", url, auth=HTTPSciTokenAuth(**auth)).prepare()
    except REFUSALS:
        return
    target = connects_to(request.url)
    meant = target is not None and (target.scheme, target.host) == ("https", "good.example")
    assert ("Authorization" in request.headers) is meant


class Redirecting(HTTPAdapter):
    """Redirects the first request; writes down where others go, and if with the token."""

    def __init__(self, location: str) -> None:
        super().__init__()
        self.location = location
        self.followed: list[tuple[str, bool]] = []

    def send(self, request, **_):
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url
        if request.url == "https://good.example/start":
            response.status_code = 302
            response.headers["Location"] = self.location
        else:
            self.followed.append((request.url, "Authorization" in request.headers))
        return response


def followed(session: requests.Session, location: str, **auth: object):
    """Follow a redirect; return where that led, each with the token or not, and errors."""
    header = location.encode("utf-8", "replace").decode(
        "latin-1"
    )  # as http.client reads it
    adapter = Redirecting(header)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    try:
        session.get("https://good.example/start", **auth)
    except REFUSALS as error:
        return adapter.followed, repr(error)
    return adapter.followed, ""


def follow(session: requests.Session, location: str, **auth: object) -> None:
    """See that the token goes nowhere it is not meant to, and nothing else changes."""
    led_to, error = followed(session, location, **auth)
    plain_led_to, plain_error = followed(requests.Session(), location)
    assert [url for url, _ in led_to] == [url for url, _ in plain_led_to]
    assert error == plain_error
    for url, with_token in led_to:
        if with_token:
            target = connects_to(url)
            assert target is None or Origin(target.scheme, target.host, 443) == GOOD


LOCATIONS = [
    *(url for url, _ in URLS),
    "https://good.example%2eevil.example",
    "https://good.example\\@evil.example/",
    "https://evil.example\\@good.example/",
    "https://evil.example\\.good.example/",
    "https://evil.example%5c@good.example/",
    "https://evil.example%23@good.example/",
    "https://evil.example%2f@good.example/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "http:/other",
    "/other",
    "?query",
    "@evil.example",
    ":@evil.example",
    "good.example",
    "",
    "https://g\u043e\u043ed.example/",
    "https://good.example\uff0f@evil.example/",
    "https://evil.example\u2100good.example/",
]


@pytest.mark.parametrize("location", LOCATIONS, ids=ascii)
def test_a_redirect_takes_the_token_only_where_it_is_meant_to(location, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", FOR_GOOD)
    follow(requests.Session(), location, auth=HTTPSciTokenAuth())
    follow(Session(), location)
    follow(Session(hosts="good.example"), location)
    follow(Session(token="abc"), location)


@pytest.mark.parametrize("location", ["/other", "//good.example", "https://GOOD.example."])
def test_a_redirect_that_tells_the_truth_takes_it_along(location, monkeypatch):
    monkeypatch.setenv("BEARER_TOKEN", FOR_GOOD)
    led_to, error = followed(Session(), location)
    assert ([with_token for _, with_token in led_to], error) == ([True], "")


NASTY = [
    "good.example", "evil.example", "GOOD.example", "good", ".", "..", "example", "@", ":",
    ":443", ":80", ":0443", ":99999", "//", "/", "\\", "?", "#", "%2e", "%40", "%2f", "%00",
    "%25", "[", "]", "[::1]", "[fe80::1%25eth0]", "::1", "localhost", "127.0.0.1", "127.1",
    "0x7f000001", "2130706433", "017700000001", "\t", "\n", "\r", " ", "\x00", "\x0b",
    "\x85", "\xa0", "\xad", "\xdf", "\xfc", "\u0130", "\u0131", "\u017f", "\u043e",
    "\u0664", "\u200b", "\u200d", "\u202e", "\u2025", "\u2024", "\u2044", "\u2100",
    "\u212a", "\u3002", "\ufe52", "\uff0e", "\uff0f", "\uff1a", "\uff20", "\uff47",
    "\ud800", "xn--", "xn--gd-fmca", "-", "_", "*", "*.", ",", ";", "&", "=", "+", "{", "}",
    "|", "^", "`", "'", '"', "<", ">",
]  # fmt: skip
TEXT = st.lists(st.sampled_from(NASTY) | st.text(max_size=2), max_size=7).map("".join)
SCHEMES = st.sampled_from(
    ["https://", "http://", "HTTPS://", "hTTp://", "https:/", "https:", "https:\\\\", "//"]
)


@anything
@given(SCHEMES, TEXT)
@example("https://", "good.example\\@evil.example")
@example("https://", "good.example\t@evil.example")
def test_no_url_has_another_origin_than_where_requests_connects_to(scheme, text):
    url = scheme + text
    for one in (url, prepare(url)):
        origin = origin_of(one)
        if one is not None and origin is not None:
            assert connects_to(one) in (origin, None)


@anything
@given(SCHEMES | st.just(""), TEXT)
@example("//", "good.example\\@evil.example")
@example("https://", "evil.example\\@good.example")
def test_no_redirect_takes_the_token_where_it_is_not_meant_to(scheme, text):
    follow(requests.Session(), scheme + text, auth=HTTPSciTokenAuth(FOR_GOOD))
    follow(Session(token=FOR_GOOD), scheme + text)


@anything
@given(TEXT, st.sampled_from(["", "https://"]))
@example("good.example@evil.example", "https://")
@example("\xe9.example?", "")
def test_no_audience_names_another_host_than_requests_connects_to(text, scheme):
    token = BearerToken("abc", {"aud": scheme + text})
    url = prepare(f"https://{text}/")
    target = connects_to(url) if url else None
    for origin in (GOOD, EVIL):
        if standing(token, origin) is Standing.THIS:
            assert target is not None
            assert target.host == origin.host


@anything
@given(TEXT, st.sampled_from(["", "*.", "https://", "https://*."]))
def test_hosts_never_match_a_name_that_is_not_in_them(text, start):
    try:
        patterns = parse_hosts((start + text,))
    except ValueError:
        return
    assert not any(
        pattern.matches(Origin("https", host, 443))
        for pattern in patterns
        for host in ("", "unrelated.test", "good.unrelated", "a.org", "notgood.example")
    )


@pytest.mark.parametrize(
    "audience",
    [
        "https://good.example@evil.example/",
        "https://user@good.example",
        "https://good.example.evil.example",
        "https://evil.example/good.example",
        "https://evil.example?good.example",
        "https://evil.example#good.example",
        "https://good.example%2eevil.example",
        "https://good.example\\@evil.example",
        "https://good.example\\.evil.example",
        "https://good.example\n.evil.example",
        "https://good.example\t",
        "https://good.example ",
        "https://good.example:port",
        "https://*.example",
        "https://*",
        "https://",
        "https://g\u043e\u043ed.example",
        "https://good\u3002example",
        "https://good.example..",
        "https:/good.example",
        "//evil.example//good.example",
        "*.example",
        "*",
        "*.*",
        "good",
        ".example",
        "good.example@evil.example",
        "good.example\n",
        "good.example:443:443",
        "https://good.example:80",
        "https://good.example:00444",
        "https://good.example:0443:",
        "https://good.example%00",
        "https://good.example[::1]",
        "https://[good.example]",
        "https://good.example%25eth0",
        "http://good.example",
        "http://good.example:443",
        "roots://evil.example//good.example",
    ],
    ids=ascii,
)
def test_an_audience_that_only_looks_like_it_does_not_name_a_host(audience):
    assert standing(BearerToken("abc", {"aud": audience}), GOOD) is not Standing.THIS


@pytest.mark.parametrize(
    ("audience", "host"),
    [
        ("https://g\u043e\u043ed.example", "xn--gd-fmca.example"),
        ("https://B\xdcCHER.example", "xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example.", "xn--bcher-kva.example"),
        ("https://[0:0::1]", "::1"),
        ("https://GOOD.example.", "good.example"),
    ],
    ids=ascii,
)
def test_an_audience_is_normalised_as_urls_are(audience, host):
    origin = Origin("https", host, 443)
    assert standing(BearerToken("abc", {"aud": audience}), origin) is Standing.THIS
    assert origin_of(prepare(audience)) == origin


LOOPBACK = Origin("https", "127.0.0.1", 443)


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("localhost.evil.example", Origin("https", "localhost", 443)),
        ("127.0.0.1.evil.example", LOOPBACK),
        ("127.1:443", LOOPBACK),
        ("2130706433:443", LOOPBACK),
        ("017700000001:443", LOOPBACK),
        ("0177.0.0.1", LOOPBACK),
        ("0x7f000001:443", LOOPBACK),
        ("0x7f.0.0.1", LOOPBACK),
        ("[::ffff:127.0.0.1]:443", LOOPBACK),
        ("[::1%25eth0]", Origin("https", "::1", 443)),
        ("[::1%eth0]", Origin("https", "::1", 443)),
        ("[::1].evil.example", Origin("https", "::1", 443)),
        ("good.example.evil.example", GOOD),
        ("evil.example.good.example", GOOD),
        ("good.example:80", GOOD),
        ("g\u043e\u043ed.example", GOOD),
        ("good.example\u3002", GOOD),
    ],
    ids=str,
)
def test_another_name_for_an_address_is_another_name_in_audiences_and_hosts(name, origin):
    for audience in (name, f"https://{name}", f"https://{name}/good.example"):
        token = BearerToken("abc", {"aud": audience})
        assert standing(token, origin) is not Standing.THIS
    for entry in (name, f"https://{name}", f"*.{name}"):
        with suppress(ValueError):  # refused
            assert not any(pattern.matches(origin) for pattern in parse_hosts((entry,)))


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "*.*",
        "*.org",
        "*.com.",
        "*.co.uk",
        "*.ac.uk",
        "*.com.au",
        "*.gov.uk",
        "*.edu.au",
        "*.good.example/path",
        "https://good.example/path",
        "*.*.good.example",
        "good.*",
        "*good.example",
        "https://*.org",
        "*:443",
        "good.example/path",
        "good.example@evil.example",
        "good.example\\.evil.example",
        "good.example evil.example",
        "good.example\tevil.example",
        "good.example%2eevil.example",
        "good.example..",
        "good\u3002example",
        "\uff47ood.example",
        "*.\uff0e.example",
        "\xe9.example?",
        "[fe80::1%25eth0]",
        "*.127.0.0.1",
        "*.1",
    ],
    ids=ascii,
)
def test_hosts_that_would_match_too_much_or_nothing_are_refused(entry):
    with pytest.raises(ValueError, match="cannot be one of the hosts"):
        parse_hosts((entry,))


@pytest.mark.parametrize(
    "host",
    [
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127-0-0-1.evil.example",
        "127.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "0177.0.0.1",
        "017700000001",
        "2130706433",
        "0",
        "0.0.0.0",
        "[::]",
        "[fe80::1]",
        "localhost.",
        "localhost.localdomain",
        "xn--lcalhost-l2e",
    ],
)
def test_plain_http_goes_to_nothing_that_only_looks_like_loopback(host):
    url = f"http://{host}/"
    origin = origin_of(url)
    assert origin is not None
    assert connects_to(url) == origin
    expected = host == "localhost."  # the same name, with the root's dot
    assert is_loopback(origin.host) is expected
    assert (barred(Situation(url, origin, start=origin)) is None) is expected
