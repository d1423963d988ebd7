"""A server that serves files to those who bring a SciToken that allows it."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from pathlib import Path
from posixpath import normpath
from typing import Any
from urllib.parse import parse_qs, quote, unquote

import jwt
import trustme
from scitokens import Enforcer, SciToken
from scitokens.scitokens import ValidationFailure

from .answers import ANSWERS, Answer
from .directory import Directory
from .faults import Fault
from .issuer import Issuer
from .loopback import Handler, Server

_READS = ("GET", "HEAD", "OPTIONS")
_WRITES = ("PUT", "POST", "PATCH", "DELETE")

# What a scope may be called that allows this: SciTokens' own names, and those of the WLCG
# Common JWT Profiles 1.0, where `storage.create` changes nothing that is there.
_ALLOWED_BY = {
    "read": ("read", "storage.read", "storage.stage"),
    "create": ("write", "storage.modify", "storage.create"),
    "write": ("write", "storage.modify"),
}


@dataclass(repr=False)
class Received:
    """A request that a server received; its `repr` shows no token."""

    method: str
    path: str  #: decoded, and without the query
    query: str
    headers: Message[str, str]  #: its names in any case
    body: bytes = b""
    status: int = 0  #: what it was answered with; 0 if it was not
    connection: int = 0  #: the client's port, the same for all requests of a connection

    @property
    def authorization(self) -> str | None:
        """The `Authorization` field's value."""
        return self.headers.get("authorization")

    def __repr__(self) -> str:
        size = len(self.body)
        return f"<Received {self.method} {self.path}, {size} bytes: {self.status}>"

    @property
    def _token(self) -> str:
        scheme, _, token = (self.authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        given = parse_qs(self.query)
        return (given.get("authz") or given.get("access_token") or [""])[0]


@dataclass(frozen=True)
class Redirect:
    """Where a path leads: `url`, with `status`.

    With `copy_token` the token that came with the request goes into the URL, as `authz=`:
    what Pelican's director does.
    """

    url: str
    status: int = 307
    copy_token: bool = False


class ProtectedServer(Server):
    """Serves files to those who bring a SciToken that allows it.

    `GET`, `HEAD` and `OPTIONS` need the scope `read:/path`, all others `write:/path`; the
    names of the WLCG profile do as well (`storage.read`, `storage.stage`,
    `storage.create`, `storage.modify`). The token comes in the `Authorization` field, or
    in the URL as `authz=` or `access_token=`. `Range` is understood, with one range. There
    is no WebDAV (`PROPFIND`, `MKCOL`, `COPY`), no multipart upload and no conditional
    request: for these use a real server, such as XRootD.

    Parameters
    ----------
    issuer : Issuer
        Whose tokens it takes.
    files : mapping or pathlib.Path, optional
        What it serves: contents by path, or a directory.
    answer : str or Answer, optional
        How it refuses; one of `ANSWERS`, or one of your own.
    audience : str or list of str, optional
        What it is called in tokens; by default its URL, or that without scheme or port.
        A token without `aud`, or for any audience, is taken too.
    host : str, optional
        Its name, in its URL and certificate; it listens on 127.0.0.1 whatever it is.
    tls : bool, optional
        Whether it speaks https.
    ca : trustme.CA, optional
        The authority for its certificate; by default the issuer's.
    protected : bool, optional
        Whether a token is needed at all.

    Raises
    ------
    ValueError
        If a path does not begin with a slash, or there is no such `answer`.
    TypeError
        If a content is not bytes.

    Attributes
    ----------
    url : str
        Its scheme, host and port.
    files : dict
        What it has now: `PUT`, `POST` and `PATCH` write, `DELETE` removes.
    received : list of Received
        Every request so far.
    redirects : dict
        A `Redirect` for each path that is somewhere else; needs no token.
    faults : list of Fault
        What goes wrong: each request takes the first one out of the list.
    rejects : set of str, or callable
        Tokens that are refused although they are good; a function is asked.

    Examples
    --------
    >>> with Issuer() as issuer, ProtectedServer(issuer, {"/data": b"1"}) as server:
    ...     token = issuer.mint("read:/data")
    ...     url = f"{server.url}/data"
    """

    def __init__(
        self,
        issuer: Issuer,
        files: Mapping[str, bytes] | Path | None = None,
        *,
        answer: str | Answer = "bearer",
        audience: str | list[str] | None = None,
        host: str = "localhost",
        tls: bool = True,
        ca: trustme.CA | None = None,
        protected: bool = True,
    ) -> None:
        if isinstance(answer, str) and answer not in ANSWERS:
            known = ", ".join(ANSWERS)
            raise ValueError(f"answer={answer!r} is none of {known}")
        self._refusal = ANSWERS[answer] if isinstance(answer, str) else answer
        for path, content in files.items() if isinstance(files, Mapping) else ():
            if not path.startswith("/"):
                raise ValueError(f"the path {path!r} has to begin with a slash: /{path}")
            if not isinstance(content, (bytes, bytearray)):
                kind = type(content).__name__
                raise TypeError(f"the content of {path} is of type {kind}; give bytes")
        super().__init__(host, ca or issuer.ca, tls=tls)
        self.files: MutableMapping[str, bytes] = (
            Directory(files) if isinstance(files, Path) else dict(files or {})
        )
        self.received: list[Received] = []
        self.redirects: dict[str, Redirect] = {}
        self.faults: list[Fault] = []
        self.rejects: set[str] | Callable[[str], bool] = set()
        self.protected = protected
        self._issuer = issuer
        own = [self.url, self.url.partition("://")[2], host]
        own = [audience] if isinstance(audience, str) else audience or own
        self._audience = [*own, "ANY", "https://wlcg.cern.ch/jwt/v1/any"]

    def _answer(self, handler: Handler) -> None:
        path, _, query = handler.path.partition("?")
        port = handler.client_address[1]
        request = Received(
            handler.command, unquote(path), query, handler.headers, connection=port
        )
        fault = self._next_fault()
        refusal = None if fault.status else self._judge(request)
        refused_unread = refusal is not None and self._refusal.closes
        if refused_unread or fault.hang_up:
            handler.close_connection = True
        if not refused_unread and fault.hang_up != "before":
            request.body = handler.body()
        self.received.append(request)  # before the client can look
        self._closing.wait(fault.delay)
        if fault.hang_up == "before":
            return
        if fault.status:
            status, body, fields = fault.status, b"not now\n", _fields_of(fault)
        else:
            status, body, fields = self._respond(request, refusal)
        if fault.hang_up == "after":
            return
        request.status = status
        sent = len(body) // 2 if fault.hang_up == "halfway" else None
        handler.reply(status, body, *fields, sent=sent)

    def _next_fault(self) -> Fault:
        with suppress(IndexError):  # several requests may come at the same time
            return self.faults.pop(0)
        return Fault()

    def _respond(
        self, request: Received, refusal: tuple[int, tuple[str, ...]] | None
    ) -> tuple[int, bytes, list[tuple[str, str]]]:
        """Return the status, body and fields of the usual answer."""
        redirect = self.redirects.get(request.path)
        if redirect is not None:
            url = redirect.url
            if redirect.copy_token and request._token:
                separator = "&" if "?" in url else "?"
                url += f"{separator}authz={quote(request._token, safe='')}"
            return redirect.status, b"", [("Location", url)]
        if refusal is None:
            return self._serve(request)
        status, challenges = refusal
        fields = [("WWW-Authenticate", challenge) for challenge in challenges]
        fields.append(("Content-Type", self._refusal.content_type))
        if self._refusal.cookie:
            fields.append(("Set-Cookie", self._refusal.cookie))
        if status == 302 and self._refusal.login:
            fields.append(("Location", self._refusal.login))
        return status, self._refusal.body, fields

    def _judge(self, request: Received) -> tuple[int, tuple[str, ...]] | None:
        """Return the refusal's status and challenges, if it is one."""
        refusal, token, rejects = self._refusal, request._token, self.rejects
        if not self.protected or request.path in (*self.redirects, refusal.login):
            return None
        if not token:
            return refusal.status, refusal.challenges
        bad = refusal.bad_status, refusal.bad_challenges
        if rejects(token) if callable(rejects) else token in rejects:
            return bad
        try:
            verified = _verified(token, self._issuer.public_key)
        except jwt.PyJWTError:
            return bad
        enforcer = Enforcer(self._issuer.url, audience=self._audience)
        for claim in verified:  # what is not understood is ignored: RFC 7519 section 4
            enforcer.add_validator(claim, lambda _: True)
        scitoken = SciToken()
        scitoken.update_claims(verified)
        wanted = "read" if request.method in _READS else "write"
        if request.method in ("PUT", "POST") and request.path not in self.files:
            wanted = "create"
        path = f"/{request.path.lstrip('/')}"
        try:
            acls = enforcer.generate_acls(scitoken)  # which judges all but this path
        except ValidationFailure:
            return bad
        # scitokens before 1.9 has /in stand for /inside as well.
        if any(_is_below(path, top) for can, top in acls if can in _ALLOWED_BY[wanted]):
            return None
        scope = f"{_ALLOWED_BY[wanted][0]}:{quote(path)}"
        return 403, tuple(c.replace("{scope}", scope) for c in refusal.scope_challenges)

    def _serve(self, request: Received) -> tuple[int, bytes, list[tuple[str, str]]]:
        if request.path == self._refusal.login:
            return 200, b"<title>Log in</title>\n", [("Content-Type", "text/html")]
        content = self.files.get(request.path)
        plain = [("Content-Type", "text/plain")]
        if request.method == "OPTIONS":
            return 200, b"", [("Allow", ", ".join(_READS + _WRITES))]
        if request.method in ("PUT", "POST", "PATCH"):
            try:
                self.files[request.path] = request.body
            except (OSError, ValueError):  # a directory, or outside
                return 409, b"not possible here\n", plain
            return 201 if content is None else 204, b"", []
        if content is None:
            return 404, b"not found\n", plain
        if request.method == "DELETE":
            self.files.pop(request.path, None)  # another request may have been quicker
            return 204, b"", []
        kind = mimetypes.guess_type(request.path)[0] or "application/octet-stream"
        fields = [("Content-Type", kind), ("Accept-Ranges", "bytes")]
        wanted = _range(request.headers.get("Range", ""), len(content))
        if wanted is None:
            return 200, content, fields
        if not wanted:
            return 416, b"", [("Content-Range", f"bytes */{len(content)}")]
        says = f"bytes {wanted.start}-{wanted.stop - 1}/{len(content)}"
        part = content[wanted.start : wanted.stop]
        return 206, part, [*fields, ("Content-Range", says)]


def _fields_of(fault: Fault) -> list[tuple[str, str]]:
    fields = [("Content-Type", "text/plain")]
    if fault.retry_after is not None:
        fields.append(("Retry-After", str(fault.retry_after)))
    return fields


def _range(field: str, size: int) -> range | None:
    """Read a `Range` field (RFC 9110 section 14.2); `None` where it is to be ignored."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", field)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:  # the last so many bytes
        return range(max(0, size - int(match[2])), size)
    end = int(match[2]) + 1 if match[2] else size
    return range(int(match[1]), min(end, size))


def _is_below(path: str, top: str) -> bool:
    return f"{normpath(path)}/".startswith(f"{top.rstrip('/')}/")


@lru_cache(maxsize=256)
def _verified(token: str, public_key: bytes) -> dict[str, Any]:
    """Return a token's claims if the signature is good; the Enforcer does the rest.

    `SciToken.deserialize` would also check `exp`, but rounded down to a whole second.
    """
    return jwt.decode(
        token,
        public_key,
        algorithms=["ES256"],
        options={"verify_exp": False, "verify_aud": False},
    )
