"""Whatever a server sends or a file holds: no exception but the one, and no delay."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from requests_scitokens._challenge import bearer_challenge
from requests_scitokens._messages import Reason, full
from requests_scitokens._origin import Origin
from requests_scitokens._policy import _hosts_named, standing
from requests_scitokens._token import BearerToken, parse
from requests_scitokens._token_file import _judge

STORAGE = Origin("https", "storage.example.org", 443)
KIB_64 = 64 * 1024

# How fast the machine is must not matter, and nothing is written beside the tests.
anything = settings(deadline=None, database=None)


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(payload: bytes) -> str:
    return f"{encode(b'{}')}.{encode(payload)}.c2ln"


def use(token: BearerToken | Reason) -> None:
    """Ask a token everything that the package asks it; a reason has its text."""
    if isinstance(token, Reason):
        assert full(token).isprintable()
        return
    assert token.header.isascii()
    assert token.header.isprintable()
    assert all(isinstance(entry, str) for entry in token.audience)
    assert token.expires >= 0
    assert isinstance(token.expired(), bool)
    assert hash(token) == hash(BearerToken(token.serialized))
    assert hash(token.holder) is not None
    assert token.whom.isprintable()
    assert isinstance(token.scope, str)
    standing(token, STORAGE)


# --- WWW-Authenticate

WORDS = ["Bearer", "bearer", "Basic", "realm", "scope=", "==", "a", "/"]
PIECES = st.sampled_from([*WORDS, *' \t,="\\\n\xe9'])
FIELDS = st.lists(PIECES | st.text(max_size=3), max_size=60).map("".join)


@anything
@given(FIELDS | st.text())
@example("Bearer")
def test_any_field_gives_parameters_or_none(field):
    found = bearer_challenge(field)
    if found is None:
        return
    assert "bearer" in field.lower()
    for name, value in found.items():
        assert name
        assert name == name.lower()
        assert isinstance(value, str)


def corpus(name: str) -> list[bytes]:
    """Read what fuzzing kept: one input for each thing that the code can do."""
    directory = Path(__file__).with_name("corpus") / name
    return [path.read_bytes() for path in sorted(directory.iterdir())]


@pytest.mark.parametrize("data", corpus("challenge"), ids=lambda data: repr(data)[:20])
def test_a_field_that_fuzzing_found_is_read(data):
    field = data.decode("latin-1")
    found = bearer_challenge(field)
    assert found is None or "bearer" in field.lower()


NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1)
VALUES = st.text(st.characters(max_codepoint=255))


def write(parameters: dict[str, str]) -> str:
    """Write a challenge's parameters as RFC 9110 section 11.2 has them."""
    quoted = (
        (n, v.replace("\\", r"\\").replace('"', r"\"")) for n, v in parameters.items()
    )
    return ", ".join(f'{name}="{value}"' for name, value in quoted)


@anything
@given(
    st.dictionaries(NAMES, VALUES),
    st.lists(st.dictionaries(NAMES, VALUES, min_size=1), max_size=3),
)
def test_what_is_written_by_the_rules_is_read_back(parameters, others):
    basics = [f"Basic {write(other)}, " for other in others]
    field = f"{''.join(basics)}Bearer {write(parameters)}"
    assert bearer_challenge(field) == parameters
    assert bearer_challenge("".join(basics)) is None
    after = ", ".join([field, *(f"Basic {write(other)}" for other in others)])
    if parameters:
        assert bearer_challenge(after) == parameters


FIELD_PATTERNS = [
    "a",
    " ",
    ",",
    "=",
    '"',
    "\\",
    '\\"',
    "a ",
    "a=",
    "a= ",
    "a,",
    'a="',
    'a="\\',
    'a="b" ',
    "a==",
    "a == ,",
    "a b=",
    "@",
    "a@",
    '@"',
    "Bearer ",
    "Bearer,",
    "Bearer a==,",
    'Bearer a="b", ',
    'Bearer a="\\"\\\\", ',
]


@pytest.mark.parametrize("start", ["", "Bearer ", 'Bearer a="', "Bearer a=", "a" * 99])
@pytest.mark.parametrize("end", ["", "@", '"'])
@pytest.mark.parametrize("pattern", FIELD_PATTERNS)
def test_reading_a_field_takes_linear_time(pattern, start, end):
    def read(size: int) -> Callable[[], object]:
        text = start + pattern * (size // len(pattern)) + end
        return lambda: bearer_challenge(text)

    assert_linear(read)


def assert_linear(make: Callable[[int], Callable[[], object]]) -> None:
    """Compare 4 KiB with 64 KiB: 16 times as much, 256 times if it were quadratic."""
    for _ in range(3):  # the machine may be doing other things, but not each time
        small, large = cost(make(KIB_64 // 16)), cost(make(KIB_64))
        if large < 64 * small + 0.2:
            return
    pytest.fail(f"4 KiB took {small:.3f} s, and 64 KiB {large:.3f} s")


def cost(function: Callable[[], object]) -> float:
    """Return how much of the processor's time it takes, in seconds."""
    started = time.thread_time()
    function()
    return time.thread_time() - started


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
@pytest.mark.parametrize("form", ["{}", "{} abc==", '{} realm="{}"', "{} realm=a"])
def test_ten_thousand_challenges_in_one_field_are_read(scheme, form):
    challenge = form.replace("{}", scheme, 1)
    field = ", ".join([challenge] * 10_000)
    found = bearer_challenge(f"{field}, Bearer scope=last")
    assert found is not None
    assert ("scope" in found) is (scheme == "Basic")


# --- tokens

TOKEN_TEXT = st.text(
    "ABCXYZabcxyz0189-._~+/= \t\n\x00\x7f\x85\xa0\u2028\ud800", max_size=80
)


@anything
@given(TOKEN_TEXT | st.text() | st.binary())
@example("=")
@example("a.b.c")
def test_any_text_is_a_token_or_malformed(text):
    use(parse(text))


NUMBERS = (
    st.floats()
    | st.integers()
    | st.integers(300, 4000).map(lambda digits: 10**digits)
    | st.integers(300, 4000).map(lambda digits: -(10**digits))
)
STRINGS = st.text(st.characters()) | st.sampled_from(
    ["ANY", "https://storage.example.org", "https://[", "//", ":", "a:1", "\ud800.a"]
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | STRINGS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4),
    max_leaves=12,
)
CLAIMS = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(["aud", "exp", "iss", "sub", "scope", "scp"], JSON)
)


@anything
@given(CLAIMS | JSON)
def test_any_claims_can_be_asked_about(claims):
    use(parse(jwt(json.dumps(claims).encode())))


@anything
@given(st.binary())
@example(b"\xff\xfe{\x00}\x00")
def test_any_bytes_can_stand_where_claims_do(payload):
    use(parse(jwt(payload)))


@pytest.mark.parametrize(
    "payload",
    [
        # found by fuzz/fuzz_token.py: an integer that no float can hold
        b'{"aud":["x"],"exp":' + b"2" * 309 + b"}",
        b'{"exp":-' + b"2" * 309 + b"}",
        b'{"exp":' + b"2" * 4300 + b"}",
        b'{"exp":1e999}',
        b'{"exp":-Infinity}',
        b'{"exp":NaN}',
        b'{"iss":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"sub":' + b'{"a":' * 450 + b"1" + b"}" * 450 + b"}",
        b'{"scope":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"aud":"https://\\ud800.example"}',
        b'{"aud":["\\ud800.\\udc00:80"]}',
        b'{"aud":"https://[' + b":" * 1000 + b']"}',
    ],
    ids=lambda payload: payload[:30].decode(),
)
def test_claims_that_were_once_trouble_are_not(payload):
    use(parse(jwt(payload)))


@pytest.mark.parametrize("data", corpus("token"), ids=lambda data: repr(data)[:20])
def test_a_token_a_file_and_claims_that_fuzzing_found_are_read(data):
    use(parse(data))
    use(parse(jwt(data)))
    for content in (data, b'{"access_token":"' + data + b'"}'):
        look = _judge("a file", "", content)
        assert (look.token is None) is (look.reason is not None)


def test_a_deep_claim_is_no_trouble_for_a_caller_who_is_deep_himself():
    token = parse(jwt(b'{"iss":' + b"[" * 400 + b"]" * 400 + b"}"))

    def use_below(depth: int) -> None:
        use_below(depth - 1) if depth else use(token)

    use_below(500)


TOKEN_PATTERNS = ["a", "=", "a=", ".", "a.", " ", "a ", "\x00", "\xe9", "/", "{", "e30."]


@pytest.mark.parametrize("start", ["", "e30.", "e30.e30.", "a="])
@pytest.mark.parametrize("end", ["", "@", " ", "=", ".e30"])
@pytest.mark.parametrize("pattern", TOKEN_PATTERNS)
def test_reading_a_token_takes_linear_time(pattern, start, end):
    def read(size: int) -> Callable[[], object]:
        room = size - len(start + end)
        text = start + pattern * (room // len(pattern)) + end
        return lambda: (parse.cache_clear(), use(parse(text)))

    assert_linear(read)


CLAIM_PATTERNS = ["[", '{"a":', "1", '"', '\\"', "[1],", "\x00", "\ud7ff", " "]


@pytest.mark.parametrize("start", ["", '{"aud":[', '{"exp":', '{"iss":"'])
@pytest.mark.parametrize("pattern", CLAIM_PATTERNS)
def test_reading_claims_takes_linear_time(pattern, start):
    def read(size: int) -> Callable[[], object]:
        room = size * 3 // 4 - 100
        payload = (start + pattern * room).encode()[:room]
        return lambda: (parse.cache_clear(), use(parse(jwt(payload))))

    assert_linear(read)


AUDIENCE_PATTERNS = ["a", "a.", ".", ":", "[", "@", "/", "\xe9", "\xe9.", "xn--", "\u0301"]


@pytest.mark.parametrize("start", ["", "https://", "https://a.", "\xe9"])
@pytest.mark.parametrize("pattern", AUDIENCE_PATTERNS)
def test_reading_an_audience_takes_linear_time(pattern, start):
    def read(size: int) -> Callable[[], object]:
        text = start + pattern * (size // 2 // len(pattern))
        token = BearerToken("abc", {"aud": text})
        return lambda: (_hosts_named.cache_clear(), standing(token, STORAGE))

    assert_linear(read)
