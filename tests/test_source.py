"""What the caller said: which token that is, what is decided, and what is logged."""

from __future__ import annotations

import logging
import multiprocessing
import sys
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scitokens import SciToken

from requests_scitokens import source, state
from requests_scitokens.discovery import Target
from requests_scitokens.origin import Origin, origin_of
from requests_scitokens.policy import Action
from requests_scitokens.source import Decision, Source
from requests_scitokens.token import BearerToken, MalformedTokenError

STORAGE = "https://storage.example.org"
DATA = f"{STORAGE}/data"
START = Origin("https", "start.example.org", 443)

ATTACH, WAIT, NEVER = Action.ATTACH, Action.WAIT, Action.NEVER


def to(url: str = DATA, **facts: Any) -> Target:
    return Target(url, origin_of(url), **facts)


def redirected(url: str = DATA, **facts: Any) -> Target:
    return to(url, start=START, passed=(START,), **facts)


def said(*arguments: Any, chosen: bool = True, finds: Any = None, **options: Any) -> Source:
    source = Source(*arguments, **options)
    source.is_default = not chosen
    source._own_way = lambda **_: finds
    return source


class Serializable:
    def serialize(self):
        return "abc"


# --- what may be given


@pytest.mark.parametrize("given", ["abc", b"abc", True, False, None, Serializable()])
def test_what_may_be_a_token_passes(given):
    assert source.check(given, "token=") is given


@pytest.mark.parametrize("given", ["secret secret", b"secret\x00", ""])
def test_text_that_is_no_token_is_refused_without_quoting_it(given):
    with pytest.raises(
        MalformedTokenError, match=r"^token= is not a bearer token"
    ) as caught:
        source.check(given, "token=")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("given", [1, 1.5, [], ("user", "pass"), object()])
def test_anything_else_is_a_type_error_that_says_what_was_expected(given):
    kind = type(given).__name__
    with pytest.raises(TypeError, match=f"token= is of type {kind}; a SciToken, a str"):
        source.check(given, "token=")


@pytest.mark.parametrize(
    ("value", "strings"),
    [(None, ()), ("a", ("a",)), (["a", "b"], ("a", "b")), (iter("ab"), ("a", "b"))],
)
def test_one_string_or_several_become_a_tuple(value, strings):
    assert source.strings(value, "audience=") == strings


@pytest.mark.parametrize("value", [[1], ["a", None], b"ab", 5])
def test_anything_but_strings_is_a_type_error(value):
    with pytest.raises(TypeError, match="audience= takes a string or a list of strings"):
        source.strings(value, "audience=")


@pytest.mark.parametrize(
    ("token", "force", "requested", "renews"),
    [
        (None, False, False, True),
        (None, True, True, True),
        (False, False, False, False),
        (False, True, True, False),
        (True, False, True, True),
        ("abc", False, True, False),
        (len, False, True, True),
    ],
    ids=repr,
)
def test_what_was_requested_and_what_can_be_renewed(token, force, requested, renews):
    given = said(token, force=force)
    assert (given._requested, given._renews) == (requested, renews)


# --- which token it is


@pytest.mark.parametrize("given", ["abc", b"abc\n", Serializable()])
def test_a_given_token_is_used_as_it_is(given):
    found = said(given)._find(to())
    assert found.token == BearerToken("abc")
    assert found.name == "the token given with token="


def test_a_given_scitoken_is_used_as_it_was_serialised(issuer):
    text = issuer.mint(lifetime=-60)
    scitoken = SciToken.deserialize(issuer.mint(), public_key=issuer.public_key)
    scitoken._serialized_token = text
    assert said(scitoken)._find(to()).token == BearerToken(text)


@pytest.mark.parametrize("token", [None, True])
def test_a_token_is_discovered(issuer, token_file, token):
    token_file.write_text(issuer.mint())
    found = said(token)._find(to())
    assert found.token == BearerToken(token_file.read_text())
    assert found.name == f"the token in $XDG_RUNTIME_DIR/{token_file.name} ({token_file})"


def test_discovery_is_told_what_the_token_is_wanted_for(tmp_path, monkeypatch, issuer):
    monkeypatch.setenv("_CONDOR_CREDS", str(tmp_path))
    tokens = {}
    for name, options in {
        "read": {"scopes": "read:/"},
        "write": {"scopes": "write:/"},
        "mine": {"scopes": "read:/", "audience": "mine"},
    }.items():
        tokens[name] = issuer.mint(options.pop("scopes"), **options)
        (tmp_path / f"{name}.use").write_text(tokens[name])
    read, mine = BearerToken(tokens["read"]), BearerToken(tokens["mine"])
    assert said(audience="mine")._find(to()).token == mine
    assert said()._find(to(method="PUT")).token == BearerToken(tokens["write"])
    assert said()._find(to(refused=(mine,))).token == read


def test_where_discovery_finds_none_there_is_a_reason():
    found = said()._find(to())
    assert (found.token, found.silent) == (None, False)
    assert found.reason.startswith("no token was found")


def test_false_is_no_token_and_no_message():
    found = said(token=False)._find(to())
    assert (found.token, found.silent) == (None, True)


def test_a_function_is_asked_with_the_url():
    asked = []
    found = said(lambda url: asked.append(url) or "abc")._find(to())
    assert found.token == BearerToken("abc")
    assert found.name == "the token that the token function returned"
    assert asked == [DATA]


def test_none_from_a_function_is_no_token_and_nothing_is_discovered(token_file):
    token_file.write_text("discovered")
    found = said(lambda _: None)._find(to())
    assert (found.token, found.silent) == (None, True)
    assert found.reason == "the token function returned None for this URL"


@pytest.mark.parametrize(("given", "token"), [(True, "discovered"), (False, None)])
def test_a_function_may_have_the_token_discovered_or_say_no(token_file, given, token):
    token_file.write_text("discovered")
    found = said(lambda _: given)._find(to()).token
    assert (found and found.serialized) == token


def test_a_function_is_not_asked_where_a_redirect_leads_elsewhere():
    asked = []
    given = said(lambda url: asked.append(url) or "abc")
    found = given._find(redirected())
    assert (found.token, found.silent) == (None, True)
    earlier = BearerToken("earlier")
    assert given._find(redirected(earlier=earlier)).token == earlier
    assert asked == []
    here = origin_of(DATA)
    assert given._find(to(start=here, passed=(here,))).token == BearerToken("abc")


@pytest.mark.parametrize(
    ("given", "error"), [("secret secret", MalformedTokenError), (["secret"], TypeError)]
)
def test_what_a_function_may_not_return_is_an_error_that_does_not_quote_it(given, error):
    with pytest.raises(error, match="what the token function returned") as caught:
        said(lambda _: given)._find(to())
    assert "secret" not in str(caught.value)
    frames, entry = [], caught.tb
    while entry:
        frames.append(entry.tb_frame)
        entry = entry.tb_next
    here = [one for one in frames if one.f_code.co_name in ("_find", "check")]
    assert here
    assert all("secret" not in repr(one.f_locals.get("given")) for one in here)


def test_an_error_of_the_function_is_the_callers():
    def fail(url: str) -> str:
        raise LookupError(url)

    with pytest.raises(LookupError, match=DATA):
        said(fail)._decide(to())


def test_a_subclass_may_find_tokens_in_its_own_way(token_file):
    token_file.write_text("discovered")
    asked = []
    found = said(finds=lambda url: asked.append(url) or "abc")._find(to())
    assert found.token == BearerToken("abc")
    assert found.name == "the token that the handler's class found"
    assert asked == [DATA]


@pytest.mark.parametrize("given", [None, False])
def test_or_find_none(token_file, given):
    token_file.write_text("discovered")
    found = said(finds=lambda _: given)._find(to())
    assert (found.token, found.silent) == (None, False)


# --- what is decided


def test_the_decision_has_the_token_only_where_it_may_be_sent(token_file):
    token_file.write_text("abc")
    token = BearerToken("abc")
    waits, listed = said()._decide(to()), said(hosts=STORAGE)._decide(to())
    other, elsewhere = said(hosts="a.org")._decide(to()), said()._decide(redirected())
    assert (waits.action, waits.token, waits.attached) == (WAIT, token, None)
    assert (listed.action, listed.token, listed.attached) == (ATTACH, token, token)
    assert (other.action, other.token, other.found.token) == (NEVER, None, None)
    assert (elsewhere.action, elsewhere.token, elsewhere.found.token) == (
        NEVER,
        None,
        token,
    )


def test_an_origin_that_has_accepted_the_token_gets_it_at_once(token_file):
    token_file.write_text("abc")
    state.accepted.put((origin_of(DATA), BearerToken("abc").holder), True)
    assert said()._decide(to()).action is ATTACH
    assert said()._decide(to(f"{STORAGE}:1094/data")).action is WAIT
    assert said(chosen=False)._decide(to()).action is NEVER


def test_an_upload_does_not_wait(token_file):
    token_file.write_text("abc")
    assert said()._decide(to(method="PUT", once=True)).action is ATTACH


def test_no_token_is_looked_for_where_none_may_go():
    def fail(url: str) -> str:
        raise AssertionError(url)

    for given in (said(fail, hosts="a.org"), said(fail)):
        url = DATA if given.hosts else "http://storage.example.org/"
        assert given._decide(to(url)).action is NEVER
        assert given._bars(to(url))


@pytest.mark.parametrize(
    ("facts", "url", "bars"),
    [
        ({}, DATA, False),
        ({"hosts": ("a.org",)}, DATA, True),
        ({"hosts": ("a.org", "storage.example.org")}, DATA, False),
        ({}, "http://storage.example.org/", True),
        ({"hosts": "storage.example.org"}, "http://storage.example.org/", True),
        ({"hosts": "https://storage.example.org"}, "http://storage.example.org/", True),
        ({"hosts": "http://storage.example.org"}, "http://storage.example.org/", False),
        ({}, "http://localhost:8080/", False),
        ({}, "ftp://storage.example.org/", True),
        ({}, "", True),
        ({}, f"{DATA}?authz=abc", True),
        ({"force": True}, f"{DATA}?authz=abc", False),
    ],
    ids=str,
)
def test_where_no_token_at_all_may_go(facts, url, bars):
    assert said(**facts)._bars(to(url)) is bars


def test_a_url_without_a_certain_host_gets_no_token():
    decision = said("abc")._decide(to("ftp://storage.example.org/"))
    assert decision.action is NEVER
    assert decision.reason.startswith("the URL does not say for certain which host")


def test_a_request_without_a_url_yet_has_the_token_if_it_was_requested():
    assert said("abc")._decide(to("")).attached == BearerToken("abc")
    assert said()._decide(to("")).action is NEVER
    assert said("abc", hosts="a.org")._decide(to("")).action is NEVER


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "COPY"])
def test_a_redirected_write_goes_only_where_both_servers_may_have_the_token(method):
    one, both = "storage.example.org", "storage.example.org, start.example.org"
    target = redirected(method=method)
    assert said("abc", hosts=one)._decide(target).action is NEVER
    assert said("abc", hosts=both)._decide(target).action is ATTACH
    read = redirected(method="GET")
    assert said("abc", hosts=one)._decide(read).action is ATTACH


def test_a_redirected_write_from_plain_http_goes_nowhere():
    plain = Origin("http", "start.example.org", 80)
    target = to(method="PUT", start=plain, passed=(plain,))
    hosts = "storage.example.org, start.example.org"
    assert said("abc", hosts=hosts)._decide(target).action is NEVER
    listed = "storage.example.org, http://start.example.org"
    assert said("abc", hosts=listed)._decide(target).action is ATTACH


LOCAL = "http://localhost:8080/"


@pytest.mark.parametrize(
    ("proxies", "action"),
    [
        ({}, ATTACH),
        ({"https": "http://proxy.example.org:3128"}, ATTACH),
        ({"http": "http://proxy.example.org:3128"}, NEVER),
        ({"http": "proxy.example.org:3128"}, NEVER),
        ({"http": "http://localhost:3128"}, ATTACH),
        ({"http": "http://127.0.0.1:3128"}, ATTACH),
        ({"http": "socks5://localhost:1080"}, NEVER),
        ({"http": "socks5h://127.0.0.1:1080"}, NEVER),
        ({"all": "http://proxy.example.org:3128"}, NEVER),
        ({"http://localhost": "http://proxy.example.org:3128"}, NEVER),
        ({"http": "http://[::"}, NEVER),
    ],
    ids=str,
)
def test_plain_http_to_this_machine_may_leave_it_by_a_proxy(proxies, action):
    assert said("abc")._decide(to(LOCAL, proxies=proxies)).action is action
    listed = said("abc", hosts="http://localhost:8080")
    assert listed._decide(to(LOCAL, proxies=proxies)).action is ATTACH


@pytest.mark.parametrize(
    ("no_proxy", "action"), [("", NEVER), ("localhost", ATTACH), ("a.org", NEVER)]
)
def test_the_environments_proxies_count_where_no_others_are_known(
    monkeypatch, no_proxy, action
):
    assert said("abc")._decide(to(LOCAL)).action is ATTACH
    monkeypatch.setenv("http_proxy", "http://proxy.example.org:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert said("abc")._decide(to(LOCAL)).action is action
    assert said("abc")._decide(to(LOCAL, proxies={})).action is ATTACH


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_where_the_system_itself_has_proxies_requests_is_asked(monkeypatch, platform):
    import requests

    monkeypatch.setattr(sys, "platform", platform)
    proxies = {"http": "http://proxy.example.org:3128"}
    monkeypatch.setattr(requests.utils, "get_environ_proxies", lambda url: proxies)
    assert said("abc")._decide(to(LOCAL)).action is NEVER


# --- hosts from the environment


@pytest.mark.parametrize("chosen", [True, False])
def test_hosts_come_from_the_environment(monkeypatch, token_file, chosen):
    token_file.write_text("abc")
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "a.org, storage.example.org")
    assert said(chosen=chosen)._decide(to()).action is ATTACH
    assert said(chosen=chosen)._decide(to("https://b.org/")).action is NEVER


def test_hosts_of_the_handler_come_first(monkeypatch):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "not understood")
    assert said("abc", hosts="storage.example.org")._decide(to()).action is ATTACH


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_is_not_set(monkeypatch, token_file, text):
    token_file.write_text("abc")
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", text)
    assert said()._decide(to()).action is WAIT


def test_hosts_that_are_not_understood_are_an_error_for_a_chosen_handler(monkeypatch):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*.org")
    for ask in (said("abc")._decide, said("abc")._bars):
        with pytest.raises(
            ValueError, match=r"^REQUESTS_SCITOKENS_HOSTS: '\*\.org' cannot"
        ):
            ask(to())


def test_a_default_one_sends_nothing_and_says_so_once(
    monkeypatch, caplog, issuer, token_file
):
    token_file.write_text(issuer.mint(audience=STORAGE))
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*.org")
    for _ in range(3):
        assert said(chosen=False)._decide(to()).action is NEVER
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(
        "no token is sent; REQUESTS_SCITOKENS_HOSTS: '*.org' cannot be one of the hosts"
    )


# --- what is logged


@pytest.mark.parametrize("chosen", [True, False])
def test_that_a_listed_server_got_no_token_is_said_once_for_each_reason(
    caplog, token_file, chosen
):
    listed = said(hosts="*.example.org", chosen=chosen)
    for url in (DATA, DATA, "https://other.example.org/"):
        assert listed._decide(to(url)).action is NEVER
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"no token was sent to {STORAGE}: no token was f")
    token_file.write_text("not a token")
    listed._decide(to())
    assert "not a bearer token" in caplog.messages[1]


def test_what_a_function_says_no_to_is_not_said(caplog):
    said(lambda _: None, hosts="*.example.org")._decide(to())
    said(token=False, hosts="*.example.org")._decide(to())
    said()._decide(to())
    assert not caplog.records


@pytest.fixture
def for_any_server(token_file):
    token_file.write_text("abc")


@pytest.mark.usefixtures("for_any_server")
def test_the_autopatch_says_once_that_hosts_is_not_set(caplog):
    for url in (DATA, DATA, "https://other.example.org/"):
        assert said(chosen=False)._decide(to(url)).action is NEVER
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    text = record.getMessage()
    assert "REQUESTS_SCITOKENS_HOSTS" in text
    assert "python -m requests_scitokens" in text
    assert "example.org" not in text


@pytest.mark.usefixtures("for_any_server")
@pytest.mark.parametrize(
    ("url", "facts"),
    [
        ("http://storage.example.org/", {}),
        (f"{DATA}?authz=abc", {}),
        (DATA, {"start": START, "passed": (START,)}),
    ],
    ids=str,
)
def test_not_where_the_token_could_not_have_gone_anyway(caplog, url, facts):
    said(chosen=False)._decide(to(url, **facts))
    assert not caplog.records


@pytest.mark.usefixtures("for_any_server")
def test_not_where_hosts_is_set_or_the_handler_was_chosen(caplog, monkeypatch):
    said()._decide(to())
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "a.org")
    said(chosen=False)._decide(to())
    assert not caplog.records


def test_not_where_the_token_is_for_another_server(caplog, issuer, token_file):
    token_file.write_text(issuer.mint(audience="https://other.example.org"))
    said(chosen=False)._decide(to())
    assert not caplog.records


@pytest.mark.usefixtures("for_any_server")
def test_not_in_the_workers_of_a_program(caplog, monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    said(chosen=False)._decide(to())
    assert not caplog.records
    monkeypatch.delitem(sys.modules, "multiprocessing")
    said(chosen=False)._decide(to())
    assert len(caplog.records) == 1


def test_each_decision_is_logged_at_debug_without_token_or_query(caplog, token_file):
    caplog.set_level(logging.DEBUG, "requests_scitokens")
    token_file.write_text("secret-token")
    said()._decide(to(f"{DATA}?secret=1"))
    said(token=False)._decide(to())
    said("secret-token")._decide(to("ftp://storage.example.org/"))
    assert [record.levelno for record in caplog.records] == [logging.DEBUG] * 3
    name = f"the token in $XDG_RUNTIME_DIR/{token_file.name} ({token_file})"
    assert caplog.messages[:2] == [
        f"GET {STORAGE}, {name}: send it in answer to a 401 or 403; reason: the token is "
        "for any server, so it waits for a 401 or 403",
        f"GET {STORAGE}, no token: do not send it; reason: token=False was given",
    ]
    assert caplog.messages[2].startswith("GET a URL without a certain host, no token: do n")
    assert "secret" not in caplog.text


# --- as a SciToken


def test_as_a_scitoken_it_is_not_verified_unless_asked(issuer):
    token = BearerToken.parse(issuer.mint(audience="https://a.example.org", lifetime=-60))
    scitoken = source.as_scitoken(token, {})
    assert scitoken["aud"] == "https://a.example.org"
    assert scitoken._serialized_token == token.serialized


def test_as_a_scitoken_an_opaque_token_has_no_claims():
    scitoken = source.as_scitoken(BearerToken("opaque"), {})
    assert list(scitoken.claims()) == []
    assert scitoken._serialized_token == "opaque"


def test_as_a_scitoken_it_is_verified_where_keywords_ask_for_it(issuer):
    token = BearerToken.parse(issuer.mint(audience="ANY"))
    scitoken = source.as_scitoken(token, {"public_key": issuer.public_key})
    assert scitoken["iss"]
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(Exception, match=r"[Ss]ignature"):
        source.as_scitoken(token, {"public_key": pem})


def test_a_scitoken_with_its_key_is_serialised_once_and_not_again(monkeypatch):
    key = ec.generate_private_key(ec.SECP256R1())
    scitoken = SciToken(key=key, algorithm="ES256", key_id="k")
    text = scitoken.serialize(issuer="https://issuer.example.org", lifetime=60).decode()
    later = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: later)
    assert source.serialize_token(scitoken) == text


def test_a_decision_shows_no_token():
    decision = said("secret-token")._decide(to())
    assert isinstance(decision, Decision)
    assert "secret" not in repr(decision)
