"""What a URL's origin is, and which URLs carry a credential of their own.

That no URL has another origin than where Requests connects to, test_url_confusion shows.
"""

from __future__ import annotations

import pytest

from requests_scitokens._origin import (
    CREDENTIALS,
    NOWHERE,
    Origin,
    _read,
    carries_credential,
    default_audience,
    is_loopback,
    origin_of,
    split_host_port,
)

DATA = "https://storage.example.org/data"
HERE = Origin("https", "storage.example.org", 443)


# --- origins


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        (DATA, ("https", "storage.example.org", 443)),
        ("http://storage.example.org", ("http", "storage.example.org", 80)),
        ("https://storage.example.org:1094/", ("https", "storage.example.org", 1094)),
        ("HTTPS://Storage.Example.ORG.:443/", ("https", "storage.example.org", 443)),
        ("https://user:pass@storage.example.org/", ("https", "storage.example.org", 443)),
        ("https://storage.example.org?a=b", ("https", "storage.example.org", 443)),
        ("https://storage.example.org#a", ("https", "storage.example.org", 443)),
        ("https://[0:0::1]:8443/", ("https", "::1", 8443)),
        ("https://xn--bcher-kva.example/", ("https", "xn--bcher-kva.example", 443)),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, origin):
    assert origin_of(url) == Origin(*origin)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "storage.example.org",
        "ftp://storage.example.org/",
        "mailto:a@b.example.org",
        "http+unix://%2Fvar%2Frun%2Fsocket/",
        "https://",
        "https://storage.example.org:99999/",
        "https://good.example\\@evil.example/",
        f"https://{'a.' * 40}\xe9{'b' * 70}/",
        "https://[::g]/",
        "https://[v1.a]/",
    ],
)
def test_a_url_that_is_not_http_or_can_be_read_in_two_ways_has_none(url):
    assert origin_of(url) is None


def test_an_authority_longer_than_any_host_needs_has_none_and_is_not_remembered():
    """Whoever redirects may write there what they like."""
    before = _read.cache_info().currsize
    for number in range(100):
        assert origin_of(f"https://{number}{'u' * 60_000}@storage.example.org/") is None
        assert origin_of(f"https://storage.example.org/{number}{'p' * 60_000}") == HERE
    assert _read.cache_info().currsize <= before + 1
    longest = f"https://user:{'p' * 40}@{'a' * 60}.{'b' * 60}.{'c' * 60}.example.org:1094/"
    assert origin_of(longest) is not None


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        (Origin("https", "good.example", 443), "https://good.example"),
        (Origin("https", "good.example", 80), "https://good.example:80"),
        (Origin("https", "good.example", 0), "https://good.example:0"),
        (Origin("http", "::1", 80), "http://[::1]"),
        (Origin("http", "::1", 8080), "http://[::1]:8080"),
    ],
)
def test_an_origin_is_written_as_in_a_url(origin, text):
    assert str(origin) == text
    assert origin_of(text) == origin


def test_no_url_has_the_origin_of_a_request_to_nowhere():
    assert NOWHERE not in (origin_of(DATA), origin_of("http://"), origin_of(""))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a.example.org", ("a.example.org", None)),
        ("A.example.org.:1094", ("a.example.org", 1094)),
        ("[::1]:1", ("::1", 1)),
        ("[::1]", ("::1", None)),
        ("127.0.0.1", ("127.0.0.1", None)),
        ("localhost", ("localhost", None)),
        ("b\xfccher.example", ("xn--bcher-kva.example", None)),
        ("", None),
        (":443", None),
        ("a:port", None),
        ("a:1:2", None),
        ("a..b", None),
        ("[::1", None),
        ("[::g]", None),
        ("[a]", None),
        ("user@a", None),
        ("a/b", None),
        ("a b", None),
        ("\xe9..example", None),
        (f"\xe9{'a' * 70}.example", None),
    ],
    ids=ascii,
)
def test_a_host_is_split_from_its_port(text, found):
    assert split_host_port(text) == found


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("127.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.localdomain", False),
        ("", False),
    ],
)
def test_only_a_host_that_can_only_be_this_machine_is_loopback(host, loopback):
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("url", "audience"),
    [
        ("https://storage.example.org:1094/data?a=b", "https://storage.example.org"),
        ("storage.example.org/data", "https://storage.example.org"),
        ("https://[::1]:8443/", "https://[::1]"),
        ("https:///data", "https://"),
    ],
)
def test_the_default_audience_is_scheme_and_host(url, audience):
    assert default_audience(url) == audience


# --- URLs that carry a credential

# Each as its own service writes it.
SIGNED = {
    "WebHDFS": ("op", "delegation"),
    "GitLab": ("private_token",),
    "GitLab, jobs": ("job_token",),
    "Backblaze B2": ("Authorization",),
    "Google Cloud CDN": ("KeyName", "Signature"),
    "Dataverse, signed": ("until", "user", "method", "token"),
    "RFC 6750": ["access_token"],
    "XRootD, EOS, dCache, Pelican": ["authz"],
    "XRootD, from one server to the next": ["xrdhttptk"],
    "dCache's pools": ["dcache-http-uuid"],
    "EOS's storage nodes": ["cap.sym", "cap.msg"],
    "Amazon S3, version 4": ["X-Amz-Signature"],
    "Amazon S3, version 2": ["AWSAccessKeyId", "Signature"],
    "Google, version 4": ["X-Goog-Signature"],
    "Google, version 2": ["GoogleAccessId", "Signature"],
    "Azure": ["sv", "sig"],
    "CloudFront": ["Key-Pair-Id", "Signature"],
    "Swift": ["temp_url_sig", "temp_url_expires"],
    "Alibaba, version 4": ["x-oss-signature"],
    "Alibaba, version 1": ["OSSAccessKeyId", "Signature"],
    "Tencent": ["q-ak", "q-signature"],
    "Huawei, version 4": ["X-Obs-Signature"],
    "Huawei, version 2": ["AccessKeyId", "Signature"],
    "Volcengine": ["X-Tos-Signature"],
}


def url_with(*names: str) -> str:
    return f"{DATA}?a=b&{'&'.join(f'{name}=abc' for name in names)}&c=d#e"


@pytest.mark.parametrize("names", SIGNED.values(), ids=SIGNED)
def test_a_url_that_carries_a_credential_is_recognised(names):
    assert carries_credential(url_with(*names))
    assert carries_credential(url_with(*(name.upper() for name in names)))
    assert carries_credential(url_with(*(name.lower() for name in reversed(names))))
    assert carries_credential(f"{DATA}?{'&'.join(f'{name}=' for name in names)}")


@pytest.mark.parametrize("names", SIGNED.values(), ids=SIGNED)
def test_the_name_may_be_percent_encoded(names):
    assert carries_credential(
        url_with(f"%{ord(names[0][0]):02x}{names[0][1:]}", *names[1:])
    )


def test_these_are_all_that_are_known():
    assert {frozenset(name.lower() for name in names) for names in SIGNED.values()} == {
        frozenset(scheme) for scheme in CREDENTIALS
    }


@pytest.mark.parametrize(
    "names",
    [names for names in SIGNED.values() if len(names) > 1],
    ids=[name for name, names in SIGNED.items() if len(names) > 1],
)
def test_half_of_the_names_is_no_credential(names):
    for name in names:
        assert not carries_credential(url_with(name))


@pytest.mark.parametrize(
    "url",
    [
        DATA,
        f"{DATA}?",
        f"{DATA}?sig=abc",
        f"{DATA}?signature=abc",
        f"{DATA}?sv=abc",
        f"{DATA}?x-amz-signature2=abc",
        f"{DATA}?my-x-amz-signature=abc",
        f"{DATA}?x_amz_signature=abc",
        f"{DATA}?x-amz-date=1&x-amz-credential=a",
        f"{DATA}?authz2=abc",
        f"{DATA}?token=abc",
        f"{DATA}?key=abc",
        f"{DATA}?api_key=abc",
        f"{DATA}?path=authz",
        f"{DATA}?path=/a?authz",
        f"{DATA}?sig=abc&signature=abc",
        f"{DATA}?temp_url_sig=abc&expires=1",
        f"{DATA}/authz=abc",
        f"{DATA};authz=abc",
        f"{DATA}#?authz=abc",
    ],
)
def test_a_url_with_something_like_it_carries_none(url):
    assert not carries_credential(url)
