"""Why a token is sent or not: as data, as text, and what to do about it.

No other module holds a sentence about that.
"""

from __future__ import annotations

import time
from enum import Enum
from typing import Any, NamedTuple

from ._environment import AUTOPATCH, HOSTS
from ._shown import duration

_LIST = f"hosts= or {HOSTS}"
_GET_ONE = "get one, for example with htgettoken"
_COMMAND = "`python -m requests_scitokens --try URL` shows what the server wants"


class Code(Enum):
    """A reason without what it is about: its text, and what to do."""

    # What is in a place.
    NOT_SET = "not set", ""
    EMPTY = "empty", "put a token there, or remove it"
    NOT_THERE = "no such file", ""
    NO_FILE = "the file does not exist", "correct the path, or unset the variable"
    TILDE = "the file does not exist: ~ stands for nothing here", "write the whole path"
    NO_PATH = (
        "no such file (not shown: a token itself would go into ${variable})",
        "set ${variable}, or correct the path",
    )
    A_PATH = "this is a path, and no token", "set {variable} to it"
    UNREADABLE = "{problem}", "let this user read it: chmod u+r, and the directories above"
    FAILS = "{problem}", ""
    NO_REGULAR_FILE = "it is not a regular file", "correct or remove it"
    ANOTHER_OWNER = (
        "it belongs to another user (uid {uid})",
        "remove it, or name it in BEARER_TOKEN_FILE if you trust it",
    )
    ANOTHER_LINK = "it is another user's symbolic link", "remove it"
    NO_ACCESS_TOKEN = "it is JSON without an access_token", "correct or remove it"
    NO_USE_FILES = (
        "no file there is called *.use",
        "ask for the service in the submit file: use_oauth_services",
    )
    NO_JWT = (
        "no JSON Web Token, so it may be of another service",
        "if it is for this server, name the file in BEARER_TOKEN_FILE",
    )
    USED = "used", ""
    COMES_LATER = "not used: {first} comes first", ""
    NOT_FOR_HERE = "it is for {whom}; not for this server", ""
    EXPIRED = "it expired {ago} ago", "renew it, for example with htgettoken"
    NO_AUDIENCE = "it is for {whom}, not for {wanted}", "get one for {wanted}"

    # What is no token.
    NOTHING = "it is empty", "give a token"
    TOO_LONG = "it is longer than {limit} bytes, and no token is", "correct or remove it"
    WORD_BEARER = "the word Bearer is no part of the token", "remove the word"
    QUOTES = "it has quotes around it", "remove the quotes"
    BYTE_ORDER_MARK = "it begins with a byte order mark (BOM)", "save it as plain text"
    UTF_16 = "it is in UTF-16", "save it as plain text (ASCII)"
    LINES = "it has more than one line", "leave one line in it"
    WHITE_SPACE = "it has white space inside", "correct or remove it"
    CONTROLS = "it has a control character inside", "write it again"
    CHARACTERS = (
        "it has a character that no token has (RFC 6750 section 2.1)",
        "correct or remove it",
    )
    CUT_SHORT = "it is cut short", "write it again"

    # Why there is none.
    NO_TOKEN = "no token was found", _GET_ONE
    NO_TOKEN_BUT = "no token was found; {seen}", _GET_ONE
    NO_TOKEN_UNDER_SUDO = (
        "no token was found for user id {user}; under sudo, the files of user id {sudo} "
        "are not looked for",
        "run it without sudo, or name the file: sudo BEARER_TOKEN_FILE=...",
    )
    FUNCTION_NONE = "the token function returned None for this URL", ""
    FUNCTION_NOT_ASKED = "a token function is not asked where a redirect leads away", ""
    SWITCHED_OFF = "token=False was given", ""
    CLASS_NONE = "the handler's class found no token", ""

    # What somebody else's credentials are.
    NETRC = "the password in .netrc is used", "remove this host from .netrc"
    URL_USER = "the user and password in the URL are used", "remove them from the URL"
    AUTOPATCH_OFF = (
        "the autopatch is off",
        f"for programs that only use Requests, run export {AUTOPATCH}=1",
    )
    AUTOPATCH_FAILS = "the autopatch is off: {problem}", "{todo}"

    # Why it is not sent: the rows of the decision table.
    NO_CERTAIN_HOST = (
        "the URL does not say for certain which host is meant",
        "write it plainly, as in https://storage.example.org/path",
    )
    URL_CREDENTIAL = (
        "the URL carries a credential of its own; the token goes beside that only with "
        "token= or force=True, and not after a redirect",
        "",
    )
    PLAIN_HTTP = (
        "everybody on the way could read the token over plain http",
        f"use https, or add {{origin}} to {_LIST}",
    )
    PROXY = (
        "a proxy could read the token over plain http",
        "exclude this server from it with NO_PROXY={host}",
    )
    NOT_LISTED = (
        f"{_LIST} does not list {{servers}}, but {{listed}}",
        "add {servers} if it may be sent the token",
    )
    NOT_UNDERSTOOD = f"{HOSTS} is not understood", f"correct {HOSTS}"
    LED_BY_ANOTHER = (
        "a redirect from {by} led here, which may not be sent the token; only requests "
        "that read follow such a redirect with it",
        f"if all of them may be sent the token, list {{servers}} in {_LIST}",
    )
    LED_AWAY = (
        "a redirect led here, and the token is for {whom}",
        f"if the token may go there, list {{servers}} in {_LIST}",
    )
    FOR_ANOTHER = (
        "the token is for another server ({whom})",
        f"get one for this server, or add {{servers}} to {_LIST} if it accepts this one",
    )
    AUTOPATCH_LISTS = (
        "the token is for any server; the autopatch sends that only to listed servers",
        f"run export {HOSTS}={{servers}}",
    )

    # Why it is sent, and when.
    NO_URL = "there is no URL yet", ""
    LISTED = f"{_LIST} lists this server", ""
    REQUESTED = "it was passed with token=, or force=True was", ""
    FOR_THIS = "the token is for this server", ""
    UPLOAD = "the token is for any server, and an upload cannot wait", ""
    ACCEPTED = "this server has accepted the token before", ""
    WAITS = "the token is for any server, so it waits for a 401 or 403", ""
    NEVER_ASKED = (
        "the server did not ask for one",
        f"if it should have the token at once, list {{servers}} in {_LIST}",
    )

    # What a server may have against a token that was sent.
    SENT_ELSEWHERE = "it is for {whom}", "get one for {origin}"
    SCOPE_WANTED = (
        "it has {scope}, the server wants {wanted}",
        "get a token with that scope",
    )
    SCOPE_COVERS = (
        "its scope covers this path",
        "ask the site whether it accepts {issuer} as issuer and {whom} as audience, and "
        "where that issuer's paths begin",
    )
    SCOPE_LACKS = (
        "it has {scope}; the server may want {verb}:{path}, or a scope that contains it, "
        "another audience, or another issuer",
        _COMMAND,
    )
    OPAQUE = "it is opaque, so nothing in it says why", _COMMAND

    # What was done about a 401 or 403.
    NONE_SENT = "no token was sent: {reason}", ""
    NOW_NONE = "the token was sent, and now there is none: {reason}", ""
    NO_OTHER = "{name} was sent, and there is no other: {reason}", ""
    TWO_SENT = "{name} was sent, and so was the one before: {reason}", ""
    NOT_TWICE = "{name} was not sent: this body cannot be sent twice", ""
    NOT_TWICE_UNSENT = (
        "{name} was not sent: this body cannot be sent twice",
        "force=True or hosts= sends the token at once",
    )


class Reason(NamedTuple):
    """A code, and what it is about: plain values, none of which changes with time."""

    code: Code
    about: tuple[tuple[str, Any], ...] = ()

    def with_(self, **about: Any) -> Reason:
        """Return the same with more of what it is about."""
        return Reason(self.code, (*self.about, *about.items()))


def because(code: Code, **about: Any) -> Reason:
    """Make a reason."""
    return Reason(code, tuple(about.items()))


def text(reason: Reason) -> str:
    """Say why. A reason that is about a place names that first."""
    about = _words(reason)
    place = f"{about['place']}: " if "place" in about else ""
    return place + reason.code.value[0].format(**about)


def advice(reason: Reason) -> str:
    """Say what to do about it; empty if there is nothing to do."""
    inner = dict(reason.about).get("reason")
    if isinstance(inner, Reason):
        return advice(inner)
    about = {"variable": "BEARER_TOKEN_FILE", **_words(reason)}
    return str(reason.code.value[1]).format(**about)


def full(reason: Reason) -> str:
    """Say why, and what to do."""
    return "; ".join(filter(None, (text(reason), advice(reason))))


def _words(reason: Reason) -> dict[str, Any]:
    about = dict(reason.about)
    if "expires" in about:
        about["ago"] = duration(time.time() - about["expires"])
    if isinstance(about.get("reason"), Reason):
        about["reason"] = text(about["reason"])
    return about
