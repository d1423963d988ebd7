"""A SciTokens issuer and a protected HTTPS server on loopback, for tests.

Both are real: tokens are signed; signature, issuer, audience, expiry and scope are checked
with the scitokens library. Needs the extra `testing`.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scitokens import Enforcer, SciToken
from scitokens.scitokens import ValidationFailure

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ANSWERS", "Answer", "Issuer", "ProtectedServer", "Received", "Redirect"]

_READS = ("GET", "HEAD", "OPTIONS")
_WRITES = ("PUT", "POST", "PATCH", "DELETE")


@dataclass(frozen=True)
class Answer:
    """How a server refuses; challenges are `WWW-Authenticate` fields, one each.

    Attributes
    ----------
    status, bad_status : int
        To a request without a token; to a token that is expired or otherwise not good.
        A good one that lacks the scope gets a 403.
    challenges, bad_challenges, scope_challenges : tuple of str
        What goes with each of the three; `{scope}` in the last is what was lacking.
    body, content_type : bytes, str
        What is in the refusal.
    closes : bool
        Whether it hangs up, without reading the request's body.
    cookie : str
        A `Set-Cookie` field that goes with it, if not empty.
    """

    status: int = 401
    challenges: tuple[str, ...] = ()
    bad_status: int = 401
    bad_challenges: tuple[str, ...] = ()
    scope_challenges: tuple[str, ...] = ()
    body: bytes = b"refused\n"
    content_type: str = "text/plain"
    closes: bool = False
    cookie: str = ""


def _bearer(*challenges: str, invalid: str = 'Bearer error="invalid_token"') -> Answer:
    lacking = 'Bearer error="insufficient_scope", scope="{scope}"'
    return Answer(401, challenges, 401, (invalid,), (lacking,))


#: How servers refuse, by name: forms of the Bearer challenge (RFC 6750 section 3), and
#: what storage servers and services do instead.
ANSWERS: Mapping[str, Answer] = {
    "bearer": _bearer("Bearer"),
    "bearer-lower": _bearer("bearer"),
    "bearer-parameters": _bearer(
        'Bearer realm="x", scope="read:/", error="invalid_request", '
        r'error_description="no, \"quoted\" token"'
    ),
    "basic-then-bearer": _bearer('Basic realm="y", Bearer realm="x"'),
    "several-fields": _bearer('Basic realm="y"', "Bearer"),
    "apache": _bearer(
        'Bearer error="invalid_request", '
        'error_description="No bearer token found in the request"',
        invalid='Bearer error="invalid_token", error_description="the token is not valid"',
    ),
    "dcache": Answer(challenges=('Basic realm=""',), bad_challenges=('Basic realm=""',)),
    "storm": Answer(),
    "xrootd": Answer(status=403, bad_status=403, closes=True),
    "gwdatafind": Answer(
        bad_status=403, body=b'{"error": "no token"}', content_type="application/json"
    ),
}


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


# --- servers on loopback


class _Listener(ThreadingTCPServer):  # HTTPServer would ask DNS for its own name
    request_queue_size = 128

    def __init__(self, owner: _Server, context: ssl.SSLContext | None) -> None:
        self.owner, self.context = owner, context
        self.clients: dict[Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[Any, Any]:
        client, address = super().get_request()
        client.settimeout(60)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:  # the handshake is for the client's own thread
            client = self.context.wrap_socket(
                client, server_side=True, do_handshake_on_connect=False
            )
        return client, address

    def process_request(self, request: Any, client_address: Any) -> None:
        # ThreadingMixIn forgets daemon threads; these are waited for.
        run = self.process_request_thread
        thread = Thread(target=run, args=(request, client_address), daemon=True)
        self.clients = {one: at for one, at in self.clients.items() if one.is_alive()}
        self.clients[thread] = request
        thread.start()

    def finish_request(self, request: Any, client_address: Any) -> None:
        with suppress(OSError):  # the client distrusts the certificate, or is gone
            if self.context is not None:
                request.do_handshake()
            super().finish_request(request, client_address)

    def server_close(self) -> None:
        """Hang up on everybody, then wait for the threads."""
        super().server_close()
        for thread, client in self.clients.items():
            with suppress(OSError):  # the client may have been quicker
                # SSLSocket's own would take the session away from under the thread.
                socket.socket.shutdown(client, socket.SHUT_RDWR)
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def dispatch(self) -> None:
        self.server.owner._answer(self)

    do_GET = do_HEAD = do_OPTIONS = dispatch
    do_PUT = do_POST = do_PATCH = do_DELETE = dispatch

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def reply(self, status: int, body: bytes = b"", *fields: tuple[str, str]) -> None:
        """Send a whole response in one write: two would wait for each other (Nagle)."""
        lines = [f"{self.protocol_version} {status} {self.responses.get(status, ['?'])[0]}"]
        lines += [f"{name}: {value}" for name, value in fields]
        if status != 204:  # RFC 9110 section 8.6
            lines.append(f"Content-Length: {len(body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.wfile.write(head if self.command == "HEAD" else head + body)

    def body(self) -> bytes:
        """Read the request's body, in either form; hang up if it is not a whole one."""
        try:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self._read(int(self.headers.get("Content-Length", 0)))
            parts = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                parts.append(self._read(size))
                self.rfile.readline()
        except ValueError:
            raise ConnectionError("not HTTP") from None
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def _read(self, size: int) -> bytes:
        content = self.rfile.read(max(0, size))
        if len(content) != size:
            raise ConnectionError("incomplete")
        return content


class _Server(ABC):
    def __init__(self, host: str, ca: trustme.CA, *, tls: bool = True) -> None:
        self.ca = ca
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if context is not None:
            ca.issue_cert(host).configure_cert(context)
        self._listener = _Listener(self, context)
        port = self._listener.server_address[1]
        self.url = f"http{'s' if tls else ''}://{host}:{port}"
        self._thread = Thread(
            target=self._listener.serve_forever, args=(0.02,), daemon=True
        )

    def start(self) -> Self:
        """Serve; what `with` does."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Hang up on everybody, and stop; also done at the end of a `with` block."""
        if self._thread.is_alive():
            self._listener.shutdown()
            self._thread.join()
        self._listener.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_ca(self, path: str | Path) -> None:
        """Write the authority's certificate, for `verify=` or `REQUESTS_CA_BUNDLE`."""
        self.ca.cert_pem.write_to_path(str(path))

    @abstractmethod
    def _answer(self, handler: _Handler) -> None:
        """Answer one request."""


class Issuer(_Server):
    """Mints SciTokens, and publishes the key to check them with.

    Parameters
    ----------
    ca : trustme.CA, optional
        The authority for its certificate, and its servers'.

    Attributes
    ----------
    url : str
        The issuer, as tokens name it.
    public_key, jwks : bytes, dict
        The public key: in PEM, and as a JSON Web Key Set (RFC 7517).

    Examples
    --------
    >>> with Issuer() as issuer:
    ...     token = issuer.mint("read:/frames", audience="https://storage.example.org")
    """

    def __init__(self, *, ca: trustme.CA | None = None) -> None:
        super().__init__("localhost", ca or trustme.CA())
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.public_key: bytes = pem
        key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public))
        self.jwks = {"keys": [{**key, "kid": "test", "alg": "ES256", "use": "sig"}]}

    def mint(
        self,
        scope: str = "read:/",
        *,
        audience: str | list[str] | None = None,
        lifetime: float = 600,
        subject: str = "tester",
        **claims: Any,
    ) -> str:
        """Mint a token.

        Parameters
        ----------
        scope : str, optional
            What it allows: `read:/path write:/other`.
        audience : str or list of str, optional
            Who it is for; by default it does not say.
        lifetime : float, optional
            How long it is good, in seconds; less than 0 for one that has expired.
        subject : str, optional
            Whose it is.
        **claims
            More claims; `iss`, `exp`, `iat` and `nbf` are not changed by them.
        """
        token = SciToken(key=self._key, algorithm="ES256", key_id="test")
        token.update_claims({"scope": scope, "sub": subject})
        if audience is not None:  # which ver 2.0 requires, and tokens without ver do not
            token.update_claims({"aud": audience, "ver": "scitoken:2.0"})
        token.update_claims(claims)
        text: str = token.serialize(issuer=self.url, lifetime=lifetime).decode()
        if lifetime % 1:  # of which serialize() keeps whole seconds only
            payload = jwt.decode(text, options={"verify_signature": False})
            payload["exp"] = time.time() + lifetime
            text = jwt.encode(payload, self._key, "ES256", {"kid": "test"})
        return text

    def _answer(self, handler: _Handler) -> None:
        handler.body()
        configuration = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        documents: dict[str, object] = {
            "/.well-known/openid-configuration": configuration,
            "/keys": self.jwks,
        }
        found = handler.path in documents
        body = json.dumps(documents.get(handler.path)).encode()
        handler.reply(200 if found else 404, body, ("Content-Type", "application/json"))


class _Directory(MutableMapping[str, bytes]):
    """The files below a directory, by the path that a URL has."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def _path(self, name: str) -> Path:
        path = self._root.joinpath(name.lstrip("/")).resolve()
        if not path.is_relative_to(self._root):
            raise PermissionError(name)
        return path

    def __getitem__(self, name: str) -> bytes:
        try:
            return self._path(name).read_bytes()
        except (OSError, ValueError):  # ValueError: a null character
            raise KeyError(name) from None

    def __setitem__(self, name: str, content: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def __delitem__(self, name: str) -> None:
        try:
            self._path(name).unlink()
        except (OSError, ValueError):
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        files = [path for path in self._root.rglob("*") if path.is_file()]
        return (f"/{path.relative_to(self._root).as_posix()}" for path in files)

    def __len__(self) -> int:
        return len(list(iter(self)))


class ProtectedServer(_Server):
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
            _Directory(files) if isinstance(files, Path) else dict(files or {})
        )
        self.received: list[Received] = []
        self.redirects: dict[str, Redirect] = {}
        self.rejects: set[str] | Callable[[str], bool] = set()
        self.protected = protected
        self._issuer = issuer
        own = [self.url, self.url.partition("://")[2], host]
        own = [audience] if isinstance(audience, str) else audience or own
        self._audience = [*own, "https://wlcg.cern.ch/jwt/v1/any"]  # ANY always passes

    def _answer(self, handler: _Handler) -> None:
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
        if enforcer.test(scitoken, authorization, path):
            return None
        try:
            enforcer.generate_acls(scitoken)  # which judges all but this path
        except ValidationFailure:
            return bad
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
