"""Where a handler's token comes from, and what is refused as one."""

from __future__ import annotations

import time

import pytest
from scitokens import SciToken

from requests_scitokens import source
from requests_scitokens.token import BearerToken, MalformedTokenError

STORAGE = "https://storage.example.org"


class Serializable:
    def serialize(self):
        return "abc"


@pytest.mark.parametrize("given", ["abc", b"abc", True, False, None, Serializable()])
def test_what_may_be_a_token_passes(given):
    source.check(given, "token=")


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


@pytest.mark.parametrize("given", ["abc", b"abc\n", Serializable()])
def test_a_given_token_is_used_as_it_is(given):
    assert source.given_token(given) == BearerToken("abc")


def test_a_given_scitoken_is_used_as_it_was_serialised(issuer):
    text = issuer.mint(lifetime=-60)
    scitoken = SciToken.deserialize(issuer.mint(), public_key=issuer.public_key)
    scitoken._serialized_token = text
    assert source.given_token(scitoken).serialized == text


@pytest.mark.parametrize("lifetime", [60, 1800])
def test_a_scitoken_with_its_key_is_renewed_before_it_expires(
    ec_key, monkeypatch, lifetime
):
    scitoken = SciToken(key=ec_key, algorithm="ES256", key_id="k")
    scitoken.serialize(issuer="https://issuer.example.org", lifetime=lifetime)
    first = source.given_token(scitoken)
    assert source.given_token(scitoken) == first
    soon = time.time() + lifetime - 5
    monkeypatch.setattr(time, "time", lambda: soon)
    second = source.given_token(scitoken)
    assert second.expires - first.expires == pytest.approx(lifetime - 5, abs=2)
    assert second.holder == first.holder


def test_a_scitoken_that_never_was_valid_is_renewed_for_ten_minutes(ec_key):
    scitoken = SciToken(key=ec_key, algorithm="ES256", key_id="k")
    scitoken.serialize(issuer="https://issuer.example.org", lifetime=-60)
    renewed = source.given_token(scitoken)
    assert renewed.expires == pytest.approx(time.time() + 600, abs=5)


@pytest.fixture(scope="module")
def ec_key():
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def test_a_discovered_token_comes_without_trouble(issuer, token_file):
    token_file.write_text(issuer.mint())
    found = source.discovered(STORAGE, ())
    assert found.token == BearerToken(token_file.read_text())
    assert found.trouble == ""
    assert found.name == f"the token in $XDG_RUNTIME_DIR/{token_file.name} ({token_file})"


def test_no_token_comes_with_every_place_looked_in():
    found = source.discovered(STORAGE, ())
    assert found.token is None
    assert found.trouble.startswith(
        "none was found; get one, for example with htgettoken; looked in: "
        "$BEARER_TOKEN: not set; $BEARER_TOKEN_FILE: not set; "
    )


def test_an_expired_token_comes_with_advice(issuer, token_file):
    token_file.write_text(issuer.mint(lifetime=-120))
    found = source.discovered(STORAGE, ())
    assert found.token is not None
    place = f"$XDG_RUNTIME_DIR/{token_file.name} ({token_file})"
    advice = "expired 2 min ago; renew it, for example with htgettoken"
    assert found.trouble == f"the token in {place} {advice}"


@pytest.mark.parametrize(
    ("aud", "has"),
    [
        ("https://a.example.org", "https://a.example.org"),
        (["ANY", "b"], "ANY, b"),
        (None, "no server in particular"),
    ],
)
def test_a_token_with_another_audience_comes_with_both(issuer, token_file, aud, has):
    token_file.write_text(issuer.mint(audience=aud))
    found = source.discovered(STORAGE, ("https://c.example.org", "d"))
    assert found.trouble.endswith(
        f"({token_file}) is for {has}, not for https://c.example.org, d; "
        "get one for https://c.example.org, d"
    )
    assert source.discovered(STORAGE, ()).trouble == ""


def test_a_token_with_one_of_the_audiences_comes_without_trouble(issuer, token_file):
    token_file.write_text(issuer.mint(audience=["a", "b"]))
    assert source.discovered(STORAGE, ("b", "c")).trouble == ""


def test_as_a_scitoken_it_is_not_verified_unless_asked(issuer):
    token = BearerToken.parse(issuer.mint(audience="https://a.example.org", lifetime=-60))
    scitoken = source.as_scitoken(token, {})
    assert scitoken["aud"] == "https://a.example.org"
    assert scitoken._serialized_token == token.serialized


def test_as_a_scitoken_an_opaque_token_has_no_claims():
    scitoken = source.as_scitoken(BearerToken("opaque"), {})
    assert list(scitoken.claims()) == []
    assert scitoken._serialized_token == "opaque"


def test_as_a_scitoken_it_is_verified_where_keywords_ask_for_it(issuer, ec_key):
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    token = BearerToken.parse(issuer.mint(audience="ANY"))
    scitoken = source.as_scitoken(token, {"public_key": issuer.public_key})
    assert scitoken["iss"]
    other = ec_key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(Exception, match=r"[Ss]ignature"):
        source.as_scitoken(token, {"public_key": other})
