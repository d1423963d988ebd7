"""Plain http stays on this machine, but for a proxy that may be elsewhere."""

from __future__ import annotations

import sys

import pytest
import requests

from requests_scitokens import HTTPSciTokenAuth
from requests_scitokens._origin import Origin
from requests_scitokens._request import by_proxy

LOCAL = Origin("http", "localhost", 8080)
PROXY = "http://proxy.example.org:3128"


@pytest.mark.parametrize(
    ("proxies", "leaves"),
    [
        ({}, False),
        ({"https": PROXY}, False),
        ({"http": PROXY}, True),
        ({"http": "proxy.example.org:3128"}, True),
        ({"http": "http://localhost:3128"}, False),
        ({"http": "http://127.0.0.1:3128"}, False),
        ({"http": "socks5://localhost:1080"}, True),
        ({"http": "socks5h://127.0.0.1:1080"}, True),
        ({"all": PROXY}, True),
        ({"http://localhost": PROXY}, True),
        ({"http://elsewhere": PROXY}, False),
        ({"http": "http://[::"}, True),
    ],
    ids=str,
)
def test_a_proxy_that_may_be_elsewhere_reads_plain_http(proxies, leaves):
    assert by_proxy([LOCAL], proxies) == ((LOCAL,) if leaves else ())


@pytest.mark.parametrize("origin", ["https://localhost:8080", "http://a.example.org:80"])
def test_what_is_not_plain_http_to_this_machine_does_not_matter(origin):
    scheme, _, rest = origin.partition("://")
    host, _, port = rest.partition(":")
    assert by_proxy([Origin(scheme, host, int(port))], {"all": PROXY}) == ()


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("no_proxy", "leaves"), [("", True), ("localhost", False), ("a.org", True)]
)
def test_the_environments_proxies_count_where_no_others_are_known(
    monkeypatch, name, no_proxy, leaves
):
    def sent() -> bool:
        auth = HTTPSciTokenAuth("abc")
        request = requests.Request("GET", f"{LOCAL}/", auth=auth).prepare()
        return "Authorization" in request.headers

    assert sent()
    monkeypatch.setenv(name, PROXY)
    monkeypatch.setenv("no_proxy", no_proxy)
    assert sent() is not leaves
    assert by_proxy([LOCAL], {}) == ()  # those that a request is really sent with


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_where_the_system_itself_has_proxies_requests_is_asked(monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    proxies = {"http": PROXY}
    monkeypatch.setattr(requests.utils, "get_environ_proxies", lambda url: proxies)
    assert by_proxy([LOCAL], None) == (LOCAL,)


@pytest.mark.parametrize(
    ("own", "environment", "trusts", "leaves"),
    [
        ({"http": PROXY}, "", True, True),
        ({"http": PROXY}, "http://localhost:3128", True, True),
        # `Session.send` takes the session's before those of the environment, and
        # `Session.request` after them: nobody knows which it will be
        ({"http": "http://localhost:3128"}, PROXY, True, True),
        ({"http": "http://localhost:3128"}, PROXY, False, False),
        ({}, PROXY, False, False),
        ({}, PROXY, True, True),
    ],
)
def test_a_sessions_own_proxies_count_before_and_after_the_environments(
    monkeypatch, own, environment, trusts, leaves
):
    monkeypatch.setenv("http_proxy", environment)
    with requests.Session() as session:
        session.proxies, session.trust_env = own, trusts
        assert by_proxy([LOCAL], session) == ((LOCAL,) if leaves else ())
