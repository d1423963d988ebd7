"""A server that serves files to those who bring a SciToken that allows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
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
from .issuer import Issuer
from .loopback import Handler, Server

_READS = ("GET", "HEAD", "OPTIONS")
_WRITES = ("PUT", "POST", "PATCH", "DELETE")


@dataclass(repr=False)
class Received:
    """A request that a server received; its `repr` shows no token."""

    method: str
    path: str  #: decoded, and without the query
    query: str
    headers: Message[str, str]  #: its names in any case
    body: bytes = b""
    status: int = 0  #: what it was answered with

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

    `GET`, `HEAD` and `OPTIONS` need the scope `read:/path`, all others `write:/path`. The
    token comes in the `Authorization` field, or in the URL as `authz=` or `access_token=`.

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
        self._refusal = ANSWERS[answer] if isinstance(answer, str) else answer
        super().__init__(host, ca or issuer.ca, tls=tls)
        self.files: MutableMapping[str, bytes] = (
            Directory(files) if isinstance(files, Path) else dict(files or {})
        )
        self.received: list[Received] = []
        self.redirects: dict[str, Redirect] = {}
        self.rejects: set[str] | Callable[[str], bool] = set()
        self.protected = protected
        self._issuer = issuer
        own = [self.url, self.url.partition("://")[2], host]
        own = [audience] if isinstance(audience, str) else audience or own
        self._audience = [*own, "ANY", "https://wlcg.cern.ch/jwt/v1/any"]

    def _answer(self, handler: Handler) -> None:
        path, _, query = handler.path.partition("?")
        request = Received(handler.command, unquote(path), query, handler.headers)
        refusal, redirect = self._judge(request), self.redirects.get(request.path)
        if refusal is not None and self._refusal.closes:
            handler.close_connection = True
        else:
            request.body = handler.body()
        if redirect is not None:
            url = redirect.url
            if redirect.copy_token and request._token:
                separator = "&" if "?" in url else "?"
                url += f"{separator}authz={quote(request._token, safe='')}"
            status, body, fields = redirect.status, b"", [("Location", url)]
        elif refusal is not None:
            status, body = refusal[0], self._refusal.body
            fields = [("WWW-Authenticate", challenge) for challenge in refusal[1]]
            fields.append(("Content-Type", self._refusal.content_type))
            if self._refusal.cookie:
                fields.append(("Set-Cookie", self._refusal.cookie))
        else:
            status, body = self._serve(request)
            fields = [("Allow", ", ".join(_READS + _WRITES))]
        request.status = status
        self.received.append(request)  # before the client can look
        handler.reply(status, body, *fields)

    def _judge(self, request: Received) -> tuple[int, tuple[str, ...]] | None:
        """Return the refusal's status and challenges, if it is one."""
        refusal, token, rejects = self._refusal, request._token, self.rejects
        if not self.protected or request.path in self.redirects:
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
        authorization = "read" if request.method in _READS else "write"
        path = f"/{request.path.lstrip('/')}"
        granted = enforcer.test(scitoken, authorization, path)
        try:
            acls = enforcer.generate_acls(scitoken)  # which judges all but this path
        except ValidationFailure:
            return bad
        # scitokens before 1.9 has /in stand for /inside as well.
        if granted and any(
            _is_below(path, top) for can, top in acls if can == authorization
        ):
            return None
        scope = f"{authorization}:{quote(path)}"
        return 403, tuple(c.replace("{scope}", scope) for c in refusal.scope_challenges)

    def _serve(self, request: Received) -> tuple[int, bytes]:
        content = self.files.get(request.path)
        if request.method == "OPTIONS":
            return 200, b""
        if request.method in ("PUT", "POST", "PATCH"):
            try:
                self.files[request.path] = request.body
            except (OSError, ValueError):  # a directory, or outside
                return 409, b"not possible here\n"
            return 201 if content is None else 204, b""
        if content is None:
            return 404, b"not found\n"
        if request.method == "DELETE":
            self.files.pop(request.path, None)  # another request may have been quicker
            return 204, b""
        return 200, content


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
