"""HTTPSciTokenAuth: what it takes, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from unittest import mock

import pytest
import requests
from scitokens import SciToken

from requests_scitokens import HTTPSciTokenAuth, TokenNotFoundError

TOKEN = "abc.def"
URL = "https://storage.example.org/data"


def prepared(auth, url=URL, **kwargs):
    return requests.Request("GET", url, auth=auth, **kwargs).prepare()


def sent(auth, url=URL, **kwargs):
    return prepared(auth, url, **kwargs).headers.get("Authorization")


@pytest.mark.parametrize(
    "token",
    [TOKEN, TOKEN.encode(), f" {TOKEN}\n", lambda url: TOKEN, lambda url: b"abc.def"],
)
def test_a_token_is_text_or_bytes_or_a_function(token):
    assert sent(HTTPSciTokenAuth(token)) == f"Bearer {TOKEN}"


def test_a_token_is_a_scitoken(issuer):
    text = issuer.mint()
    scitoken = SciToken.deserialize(text, public_key=issuer.public_key)
    assert sent(HTTPSciTokenAuth(scitoken)) == f"Bearer {text}"
    assert sent(HTTPSciTokenAuth(lambda url: scitoken)) == f"Bearer {text}"


@pytest.mark.parametrize("token", [True, lambda url: True])
def test_true_is_the_users_own_token(token, token_file):
    token_file.write_text(TOKEN)
    assert sent(HTTPSciTokenAuth(token)) == f"Bearer {TOKEN}"


def test_true_raises_if_the_user_has_none():
    with pytest.raises(TokenNotFoundError):
        prepared(HTTPSciTokenAuth(True))


@pytest.mark.parametrize("token", [False, lambda url: False, lambda url: None])
def test_false_and_none_are_no_token(token, token_file):
    token_file.write_text(TOKEN)
    assert sent(HTTPSciTokenAuth(token), "https://localhost/") is None


def test_a_function_gets_the_url():
    urls = []
    prepared(HTTPSciTokenAuth(urls.append), "https://a.example.org/b?c=d")
    assert urls == ["https://a.example.org/b?c=d"]


@pytest.mark.parametrize("token", [1, 1.5, [], {"a": 1}, object()])
def test_other_types_are_refused(token):
    with pytest.raises(
        TypeError, match=r"token= is of type .*; a SciToken, a str or bytes"
    ):
        HTTPSciTokenAuth(token)
    with pytest.raises(TypeError, match="what the token function returned is of type"):
        prepared(HTTPSciTokenAuth(lambda url: token))


@pytest.mark.parametrize(
    "token", ["", "inner space", b"\x00", "new\nline", "ü", "x" * 65537]
)
def test_text_that_is_no_token_is_refused_without_quoting_it(token):
    with pytest.raises(ValueError, match="^token= is not a bearer token: it ") as caught:
        HTTPSciTokenAuth(token)
    assert "inner" not in str(caught.value)


def test_an_audience_is_text_or_several():
    assert HTTPSciTokenAuth(audience="a").audience == "a"
    assert HTTPSciTokenAuth(audience=("a", "b")).audience == ["a", "b"]
    assert HTTPSciTokenAuth(audience=iter("ab")).audience == ["a", "b"]
    assert HTTPSciTokenAuth().audience is None
    with pytest.raises(TypeError, match="audience= takes a string or a list of strings"):
        HTTPSciTokenAuth(audience=[1])


@pytest.mark.parametrize("hosts", [5, ["a.example.org", 5]])
def test_hosts_that_are_neither_are_a_type_error(hosts):
    with pytest.raises(TypeError, match="hosts= takes a string or a list of strings"):
        HTTPSciTokenAuth(hosts=hosts)


def test_hosts_are_text_or_several():
    for hosts in ("a.example.org, storage.example.org", ["storage.example.org"]):
        assert sent(HTTPSciTokenAuth(TOKEN, hosts=hosts)) == f"Bearer {TOKEN}"
    assert sent(HTTPSciTokenAuth(TOKEN, hosts="a.example.org")) is None
    with pytest.raises(ValueError, match=r"'\*' cannot be one of the hosts"):
        HTTPSciTokenAuth(hosts="*")


def test_hosts_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "a.example.org")
    assert sent(HTTPSciTokenAuth(TOKEN)) is None
    assert sent(HTTPSciTokenAuth(TOKEN, hosts="storage.example.org")) is not None
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", " ")
    assert sent(HTTPSciTokenAuth(TOKEN)) is not None
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "a.example.org,*")
    with pytest.raises(ValueError, match=r"^REQUESTS_SCITOKENS_HOSTS: '\*' cannot be"):
        prepared(HTTPSciTokenAuth(TOKEN))


@pytest.mark.usefixtures("patched")
def test_bad_hosts_in_the_environment_stop_no_patched_program(
    monkeypatch, caplog, token_file
):
    token_file.write_text(TOKEN)
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "*")
    with requests.Session() as session:
        for _ in range(2):
            request = session.prepare_request(requests.Request("GET", URL))
            assert "Authorization" not in request.headers
            assert request.hooks == {"response": []}
    (record,) = caplog.records
    assert (
        "no token is sent; REQUESTS_SCITOKENS_HOSTS: '*' cannot be" in record.getMessage()
    )


@pytest.mark.parametrize(
    ("auth", "kept"),
    [
        (HTTPSciTokenAuth(), True),
        (HTTPSciTokenAuth(hosts="storage.example.org"), True),
        (HTTPSciTokenAuth(TOKEN, hosts="elsewhere.example.org"), True),
        (HTTPSciTokenAuth(TOKEN), False),
        (HTTPSciTokenAuth(force=True), False),
    ],
)
def test_the_callers_own_header_stays_unless_the_token_was_asked_for(
    auth, kept, token_file
):
    token_file.write_text(TOKEN)
    request = prepared(auth, headers={"Authorization": "Bearer mine"})
    assert (request.headers["Authorization"] == "Bearer mine") is kept
    assert (request.hooks == {"response": []}) is kept


class WithItsOwnInit(HTTPSciTokenAuth):
    """As 0.2.1 allowed it: what that had is set, and `super().__init__` is not called."""

    def __init__(self):
        self.token, self.audience = TOKEN, None


def test_a_subclass_need_not_call_init():
    request = prepared(WithItsOwnInit())
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert WithItsOwnInit() == WithItsOwnInit()


class Bare:
    """A request of a class that supports no weak references."""

    __slots__ = ("body", "headers", "hooks", "method", "url")

    def __init__(self):
        self.method, self.url, self.headers = "GET", URL, {}
        self.hooks, self.body = {}, None


def test_a_request_may_be_of_any_class():
    request = Bare()
    assert HTTPSciTokenAuth(TOKEN)(request) is request
    assert request.headers == {"Authorization": f"Bearer {TOKEN}"}
    assert len(request.hooks["response"]) == 1


class Standing:
    """Stands in for a request, and supports no weak references either."""

    __slots__ = ("request",)

    def __init__(self, request):
        self.request = request

    def __getattr__(self, name):
        return getattr(self.request, name)

    def __setattr__(self, name, value):
        setter = object if name == "request" else type(self.request)
        setter.__setattr__(self if name == "request" else self.request, name, value)


def test_something_may_stand_in_for_a_request():
    request = prepared(None)
    HTTPSciTokenAuth(TOKEN)(Standing(request))
    assert request.headers["Authorization"] == f"Bearer {TOKEN}"
    assert len(request.hooks["response"]) == 1


def test_the_users_hooks_stay():
    def mine(response, **kwargs):
        return None

    request = prepared(HTTPSciTokenAuth(TOKEN), hooks={"response": [mine]})
    assert request.hooks["response"][1:] == [mine]
    request.hooks = {"response": mine}
    HTTPSciTokenAuth(TOKEN)(request)
    assert request.hooks["response"][1:] == [mine]
    HTTPSciTokenAuth(TOKEN)(request)  # once is enough
    assert request.hooks["response"][1:] == [mine]


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, ""),
        ({"token": "secret"}, "token=..."),
        ({"token": lambda url: "secret"}, "token=..."),
        ({"audience": "a", "force": True}, "audience='a', force=True"),
        ({"hosts": ["a.org"]}, "hosts=('a.org',)"),
    ],
)
def test_what_a_handler_was_made_from_is_shown_but_no_token(options, shown):
    assert repr(HTTPSciTokenAuth(**options)) == f"HTTPSciTokenAuth({shown})"


def test_an_unknown_keyword_is_one_of_this_class():
    with pytest.raises(TypeError, match=r"(HTTPSciTokenAuth\.)?__init__\(\) got an unexp"):
        HTTPSciTokenAuth(tokn=TOKEN)


def test_handlers_are_equal_if_made_from_the_same():
    one, other = HTTPSciTokenAuth(TOKEN, "a"), HTTPSciTokenAuth(TOKEN, ["a"])
    assert one == other
    assert hash(one) == hash(other)
    assert one != HTTPSciTokenAuth(TOKEN, "b")
    assert one != HTTPSciTokenAuth(TOKEN, "a", force=True)
    assert one != HTTPSciTokenAuth(TOKEN, "a", hosts="a.example.org")
    assert one != TOKEN
    assert one == mock.ANY


def test_handlers_are_copied_and_pickled():
    auth = HTTPSciTokenAuth(TOKEN, "a", hosts="a.example.org")
    assert (
        copy.deepcopy(auth) == copy.copy(auth) == pickle.loads(pickle.dumps(auth)) == auth
    )


def test_a_pickled_handler_holds_no_discovered_token(token_file):
    token_file.write_text(TOKEN)
    auth = HTTPSciTokenAuth(force=True)
    assert sent(auth) == f"Bearer {TOKEN}"
    assert TOKEN.encode() not in pickle.dumps(auth)


# --- names that requests-scitokens 0.2.1 had


def test_find_token_gives_a_scitoken_without_verifying_it(issuer, token_file):
    text = issuer.mint("read:/data", subject="somebody")
    token_file.write_text(text)
    found = HTTPSciTokenAuth().find_token()
    assert isinstance(found, SciToken)
    assert (found["sub"], found["scope"]) == ("somebody", "read:/data")
    assert found._serialized_token == text


def test_find_token_gives_an_opaque_token_without_claims(token_file):
    token_file.write_text("opaque")
    found = HTTPSciTokenAuth().find_token()
    assert list(found.claims()) == []
    assert found._serialized_token == "opaque"


def test_find_token_verifies_if_keywords_say_so(issuer, token_file):
    token_file.write_text(issuer.mint())
    find = HTTPSciTokenAuth().find_token
    assert find(public_key=issuer.public_key).get("sub", verified_only=True) == "tester"
    token_file.write_text(issuer.mint()[:-5] + "AAAAA")
    with pytest.raises(Exception, match="[Ss]ignature|padding"):
        find(public_key=issuer.public_key)


def test_find_token_raises_or_returns_none():
    with pytest.raises(
        OSError, match=r"no usable token: no token was found; .*: \$BEARER_TOKEN: not set; "
    ):
        HTTPSciTokenAuth().find_token(URL)
    assert HTTPSciTokenAuth().find_token(URL, error=False) is None


def test_find_token_looks_with_a_given_function():
    asked = []

    def find(**kwargs):
        asked.append(kwargs)

    HTTPSciTokenAuth().find_token(
        "https://a.example.org:80/b", find_func=find, insecure=True
    )
    HTTPSciTokenAuth(audience="a").find_token("https://a.example.org/b", find_func=find)
    HTTPSciTokenAuth().find_token(find_func=find)
    assert asked == [
        {"audience": "https://a.example.org", "insecure": True},
        {"audience": "a"},
        {"audience": None},
    ]


def test_a_subclass_may_find_tokens_in_its_own_way():
    class Mine(HTTPSciTokenAuth):
        answer = TOKEN

        def find_token(self, url=None, *, error=True, **kwargs):
            return self.answer

    assert sent(Mine(force=True)) == f"Bearer {TOKEN}"
    Mine.answer = None
    with pytest.raises(TokenNotFoundError, match=r"handler's class found no token"):
        sent(Mine(force=True))


def test_generate_bearer_header_is_the_fields_value(token_file, issuer):
    response = requests.Response()
    response.url = URL
    assert HTTPSciTokenAuth(TOKEN).generate_bearer_header() == f"Bearer {TOKEN}"
    assert HTTPSciTokenAuth(TOKEN).generate_bearer_header(response) == f"Bearer {TOKEN}"
    assert HTTPSciTokenAuth().generate_bearer_header(response) is None
    token_file.write_text(issuer.mint(lifetime=-60))
    assert HTTPSciTokenAuth().generate_bearer_header() is None


def test_authenticate_bearer_sends_the_request_again(serve, issuer, trusted):
    server = serve(answer="storm")
    response = requests.get(f"{server.url}/hello.txt")
    auth = HTTPSciTokenAuth(issuer.mint())
    assert auth.authenticate_bearer(response, verify=str(trusted)).ok
    assert auth.handle_401(response, verify=str(trusted)).ok
    assert auth.handle_response(response, verify=str(trusted)).ok
    nothing = HTTPSciTokenAuth(False)
    assert nothing.authenticate_bearer(response, verify=str(trusted)) is response


def test_the_module_has_scitokens_class():
    import requests_scitokens.auth

    assert requests_scitokens.auth.SciToken is SciToken
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        requests_scitokens.auth.nothing  # noqa: B018


@pytest.mark.parametrize("hosts", ["", [], ",", [""], [" ", ""]], ids=repr)
def test_hosts_without_an_entry_are_not_set(hosts, monkeypatch):
    assert sent(HTTPSciTokenAuth(TOKEN, hosts=hosts)) == f"Bearer {TOKEN}"
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", "a.example.org")
    assert sent(HTTPSciTokenAuth(TOKEN, hosts=hosts)) is None
    monkeypatch.setenv("REQUESTS_SCITOKENS_HOSTS", " , ")
    assert sent(HTTPSciTokenAuth(TOKEN, hosts=hosts)) == f"Bearer {TOKEN}"
