"""hosts= and REQUESTS_SCITOKENS_HOSTS: how entries are read, and what they match."""

from __future__ import annotations

import pytest

from requests_scitokens._hosts import HostPattern, parse_hosts
from requests_scitokens._origin import Origin, origin_of


@pytest.mark.parametrize(
    ("hosts", "patterns"),
    [
        ("storage.example.org", [(None, "storage.example.org", None)]),
        ("STORAGE.Example.org.", [(None, "storage.example.org", None)]),
        ("*.example.org", [(None, "*.example.org", None)]),
        ("*.example.org:1094", [(None, "*.example.org", 1094)]),
        ("https://*.example.org", [("https", "*.example.org", None)]),
        ("https://host:1094", [("https", "host", 1094)]),
        ("HTTPS://host:1094/", [("https", "host", 1094)]),
        ("http://localhost:8080", [("http", "localhost", 8080)]),
        ("localhost", [(None, "localhost", None)]),
        ("[::1]:8443", [(None, "::1", 8443)]),
        ("*.1.example", [(None, "*.1.example", None)]),
        ("127.0.0.1", [(None, "127.0.0.1", None)]),
        ("bücher.example", [(None, "xn--bcher-kva.example", None)]),
        (" a.org , b.org:1 ", [(None, "a.org", None), (None, "b.org", 1)]),
        (("a.org", "http://b"), [(None, "a.org", None), ("http", "b", None)]),
        # a blank entry, or a comma too many, is no fault
        ((), []),
        ("", []),
        (" , ", []),
        ("a.org,", [(None, "a.org", None)]),
        (",a.org, ,b.org", [(None, "a.org", None), (None, "b.org", None)]),
        (("", "a.org", " "), [(None, "a.org", None)]),
    ],
    ids=repr,
)
def test_hosts_are_read(hosts, patterns):
    assert [(one.scheme, one.host, one.port) for one in parse_hosts(hosts)] == patterns


STAR = "a star stands only for names below another, as in *.example.org"
TOO_MUCH = "it would match far more than one organisation's hosts"
NO_NAME = "it is not a host name"
PATH = "give the host only, without a path"
SCHEME = "the scheme can only be http:// or https://"


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("*", STAR),
        ("*:443", STAR),
        ("https://*", STAR),
        ("*.*", STAR),
        ("*.*.org", STAR),
        ("**.example.org", STAR),
        ("a.*.example.org", STAR),
        ("*example.org", STAR),
        ("*.org", TOO_MUCH),
        ("*.ORG", TOO_MUCH),
        ("*.com.", TOO_MUCH),
        ("*.localhost", TOO_MUCH),
        ("https://*.edu:443", TOO_MUCH),
        ("*.0.0.1", TOO_MUCH),
        ("*.[::1]", TOO_MUCH),
        ("*.127.1", TOO_MUCH),
        ("*.2130706433", TOO_MUCH),
        ("*.0x7f.0.0.0x1", TOO_MUCH),
        ("*.ac.uk", TOO_MUCH),
        ("*.co.uk.", TOO_MUCH),
        ("*.com.au", TOO_MUCH),
        ("*.co.jp", TOO_MUCH),
        ("*.edu.au", TOO_MUCH),
        ("*.gov.uk", TOO_MUCH),
        ("*.org.br", TOO_MUCH),
        ("*.", NO_NAME),
        ("*..com", NO_NAME),
        (".example.org", NO_NAME),
        ("a..example.org", NO_NAME),
        ("a b.example.org", NO_NAME),
        ("user@a.example.org", NO_NAME),
        ("a.example.org:", NO_NAME),
        ("a.example.org:port", NO_NAME),
        ("a.example.org:1:2", NO_NAME),
        ("[::1", NO_NAME),
        ("[::g]", NO_NAME),
        ("https://", NO_NAME),
        ("a.example.org/path", PATH),
        ("https://a.example.org/path", PATH),
        ("a.example.org?query", PATH),
        ("a.example.org#fragment", PATH),
        ("ftp://a.example.org", SCHEME),
        ("root://a.example.org", SCHEME),
        ("://a.example.org", SCHEME),
    ],
)
def test_what_is_no_host_or_would_match_too_much_is_refused(entry, problem):
    with pytest.raises(
        ValueError, match=r"write for example storage\.example\.org"
    ) as caught:
        parse_hosts((entry,))
    assert problem in str(caught.value)
    assert repr(entry.strip()) in str(caught.value)


@pytest.mark.parametrize(
    "host", ["ligo.org", "muni.cz", "ed.ac.uk", "cern.ch", "desy.de", "in2p3.fr", "kek.jp"]
)
def test_everything_below_one_organisations_name_may_be_listed(host):
    (pattern,) = parse_hosts(f"*.{host}")
    assert pattern.matches(Origin("https", f"a.b.{host}", 443))
    assert not pattern.matches(Origin("https", host, 443))
    assert not pattern.matches(Origin("https", f"evil{host}", 443))
    assert not pattern.matches(Origin("https", f"a.{host}.evil.example", 443))


@pytest.mark.parametrize(
    ("entry", "url", "matches"),
    [
        ("a.example.org", "https://a.example.org", True),
        ("a.example.org", "https://a.example.org:1094", True),
        ("a.example.org", "https://b.a.example.org", False),
        ("a.example.org:443", "https://a.example.org", True),
        ("a.example.org:443", "https://a.example.org:1094", False),
        ("https://a.example.org", "http://a.example.org", False),
        ("http://a.example.org", "https://a.example.org", False),
        ("http://a.example.org", "http://a.example.org:8080", True),
        ("*.example.org:1094", "https://a.example.org:1094", True),
        ("*.example.org:1094", "https://a.example.org", False),
    ],
)
def test_an_entry_matches_what_it_says(entry, url, matches):
    (pattern,) = parse_hosts(entry)
    origin = origin_of(url)
    assert origin is not None
    assert pattern.matches(origin) is matches


@pytest.mark.parametrize("entry", ["eyJhbGciOiJFUzI1NiJ9.e30.abc", "a" * 201, "a\nb"])
def test_an_entry_that_may_hold_a_token_is_not_shown(entry):
    with pytest.raises(
        ValueError, match="^an entry that may hold a token cannot"
    ) as caught:
        parse_hosts((f"{entry}@a.example.org",))
    assert entry not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a.org", "*.a.org:1094", "https://a.org", "http://[::1]:8080"]
)
def test_an_entry_is_written_as_it_is_read(text):
    assert list(map(str, parse_hosts(text))) == [text]


def test_a_pattern_without_a_host_matches_nothing():
    assert not HostPattern(None, "", None).matches(Origin("https", "a.example.org", 443))
