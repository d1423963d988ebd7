"""Every place is told once: a new one is a line in `_environment.PLACES`, no more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import requests_scitokens
from requests_scitokens import _environment as environment
from requests_scitokens._discovery import find
from requests_scitokens._environment import DIRECTORY, FILE, OWN_FILE, TOKEN, Place

pytest_plugins = ["pytester"]

JWT = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJtZSJ9.c2ln"

#: The kinds of place, and what one of each is set to; the directory has all files.
KINDS = {
    TOKEN: JWT,
    FILE: "{directory}/token",
    DIRECTORY: "{directory}",
    OWN_FILE: "{directory}",
}


def test_the_places_are_those_of_the_design_in_their_order():
    places = [(place.kind, place.variable) for place in environment.PLACES]
    assert places == [
        (TOKEN, "BEARER_TOKEN"),
        (FILE, "BEARER_TOKEN_FILE"),
        (TOKEN, "SCITOKEN"),
        (FILE, "SCITOKEN_FILE"),
        (DIRECTORY, "_CONDOR_CREDS"),
        (OWN_FILE, "XDG_RUNTIME_DIR"),
        (OWN_FILE, ""),
    ]
    assert {kind for kind, _ in places} == set(KINDS)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def value(kind, tmp_path):
    """Make what a new place is set to."""
    for name in ("token", "any.use", f"bt_u{os.geteuid()}"):
        (tmp_path / name).write_text(JWT)
    return KINDS[kind].format(directory=tmp_path)


@pytest.fixture
def add(monkeypatch):
    """Add the line."""

    def add(place):
        monkeypatch.setattr(environment, "PLACES", (*environment.PLACES, place))

    return add


def test_discovery_finds_what_is_in_a_new_place(add, kind, value, monkeypatch, token_file):
    add(Place(kind, "NEW_PLACE"))
    assert "$NEW_PLACE: not set" in find().everything()
    monkeypatch.setenv("NEW_PLACE", " ")
    assert "$NEW_PLACE: empty" in find().everything()
    monkeypatch.setenv("NEW_PLACE", value)
    there = find()
    assert there.token is not None
    assert there.token.serialized == JWT
    assert there.place is environment.PLACES[-1]
    assert there.name.startswith("the token in $NEW_PLACE")
    token_file.write_text("first")
    assert find().place is not there.place


def test_a_new_place_may_be_a_path(add, tmp_path):
    (tmp_path / f"bt_u{os.geteuid()}").write_text(JWT)
    add(Place(OWN_FILE, path=str(tmp_path)))
    assert find().name == f"the token in {tmp_path}/bt_u{os.geteuid()}"


def test_the_diagnosis_names_a_new_place(add, kind, value, monkeypatch):
    assert "NEW_PLACE" not in requests_scitokens.explain()
    add(Place(kind, "NEW_PLACE"))
    monkeypatch.setenv("NEW_PLACE", value)
    said = requests_scitokens.explain()
    assert "NEW_PLACE" in said
    assert JWT not in said


def test_the_fixtures_hide_what_the_developer_has_there(pytester, monkeypatch, kind, value):
    """They are imported by a test's `conftest.py`, which has them with the new place."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("NEW_PLACE", value)
    pytester.makeconftest(
        f"""
        from requests_scitokens import _environment as environment

        new = environment.Place({kind!r}, "NEW_PLACE")
        environment.PLACES = (*environment.PLACES, new)
        pytest_plugins = ["requests_scitokens.testing.fixtures"]
        """
    )
    pytester.makepyfile(
        """
        from requests_scitokens._discovery import find

        def test_before():
            assert find().name.startswith("the token in $NEW_PLACE")

        def test_within(scitokens_environment):
            assert find().token is None
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    "page", ["docs/reference/environment.md", "packaging/debian/requests-scitokens.1"]
)
def test_pages_name_every_place_and_every_setting(page):
    text = Path(__file__).parent.parent.joinpath(page).read_text()
    # The fixtures have another folder in place of /tmp.
    names = [place.variable or "/tmp" for place in environment.PLACES]
    missing = [one for one in (*names, *environment.SETTINGS) if one not in text]
    assert missing == []
