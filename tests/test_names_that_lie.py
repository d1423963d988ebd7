"""URLs, audiences and hosts that look like another host than they are.

What a URL's host is, Requests decides: the tests ask it which connection pool it would
take, and connect to nothing.
"""

from __future__ import annotations

import ipaddress

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from requests_scitokens.origin import Origin, is_address, is_loopback, origin_of
from requests_scitokens.policy import Standing, barred, parse_hosts, standing
from requests_scitokens.token import BearerToken

GOOD = Origin("https", "good.example", 443)
EVIL = Origin("https", "evil.example", 443)

# How fast the machine is must not matter, and nothing is written beside the tests.
anything = settings(deadline=None, database=None)


def prepare(url: str) -> str | None:
    """Return the URL as Requests would send it; None if it refuses to."""
    try:
        return requests.Session().prepare_request(requests.Request("GET", url)).url
    except (requests.RequestException, ValueError):
        return None


def connects_to(url: str) -> Origin | None:
    """Ask Requests where it would connect to; None if it refuses to."""
    request = requests.PreparedRequest()
    request.url = url
    try:
        if hasattr(HTTPAdapter, "get_connection_with_tls_context"):
            pool = HTTPAdapter().get_connection_with_tls_context(request, verify=True)
        else:  # before Requests 2.32
            pool = HTTPAdapter().get_connection(url)
    except (requests.RequestException, HTTPError, ValueError):
        return None
    host = pool.host.removesuffix(".")
    if ":" in host:
        try:
            host = ipaddress.IPv6Address(host).compressed
        except ValueError:
            return None
    return Origin(pool.scheme, host, pool.port)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
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
    ],
    ids=ascii,
)
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
@given(TEXT, st.sampled_from(["", "https://"]))
@example("good.example@evil.example", "https://")
@example("\xe9.example?", "")
def test_no_audience_names_another_host_than_requests_connects_to(text, scheme):
    token = BearerToken("abc", {"aud": scheme + text})
    url = prepare(f"https://{text}/")
    target = connects_to(url) if url else None
    for origin in (GOOD, EVIL):
        if standing(token, origin) is Standing.NAMED:
            assert target is not None
            assert target.host == origin.host


@anything
@given(TEXT, st.sampled_from(["", "*.", "https://", "https://*."]))
def test_hosts_never_match_a_name_that_is_not_in_them(text, start):
    try:
        patterns = parse_hosts([start + text])
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
    ],
    ids=ascii,
)
def test_an_audience_that_only_looks_like_it_does_not_name_a_host(audience):
    assert standing(BearerToken("abc", {"aud": audience}), GOOD) is not Standing.NAMED


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
    assert standing(BearerToken("abc", {"aud": audience}), origin) is Standing.NAMED
    assert origin_of(prepare(audience)) == origin


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.*",
        "*.org",
        "*.com.",
        "*.co.uk",
        "*.ac.uk",
        "*.com.au",
        "*.gov.uk",
        "*.edu.au",
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
        parse_hosts([entry])


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
    assert bool(barred(url, origin, hosts=None, asked=True)) is not expected


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", True),
        ("127.1", True),
        ("2130706433", True),
        ("0x7f000001", False),
        ("0x1", True),
        ("::1", True),
        ("good.example", False),
        ("1.example", False),
    ],
)
def test_an_address_is_told_from_a_name(host, address):
    assert is_address(host) is address


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (GOOD, "https://good.example"),
        (GOOD._replace(port=80), "https://good.example:80"),
        (Origin("http", "::1", 80), "http://[::1]"),
        (Origin("http", "::1", 8080), "http://[::1]:8080"),
    ],
)
def test_an_origin_is_written_as_in_a_url(origin, text):
    assert str(origin) == text
    assert origin_of(text) == origin
