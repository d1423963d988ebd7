"""A SciTokens issuer and a protected HTTPS server on loopback, for tests.

Both are real: the tokens are signed, and the server checks signature, issuer, audience,
expiry and scope with the scitokens library. Needs the extra `testing`.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from requests.structures import CaseInsensitiveDict
from scitokens import Enforcer, SciToken

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ANSWERS", "Answer", "Issuer", "ProtectedServer", "Received", "Redirect"]


@dataclass(frozen=True)
class Answer:
    """How a server refuses.

    Attributes
    ----------
    status : int
        To a request without a token.
    challenges : tuple of str
        The `WWW-Authenticate` fields that go with it.
    bad_status : int
        To a token that is expired, or otherwise not good.
    bad_challenges : tuple of str
        The fields that go with that.
    scope_challenges : tuple of str
        The fields that go with a 403 to a token that does not allow this.
    body : bytes
        What is in the refusal.
    closes : bool
        Whether the connection is closed, also before a body has been read.
    cookie : str
        A `Set-Cookie` field that goes with it, if not empty.
    """

    status: int = 401
    challenges: tuple[str, ...] = ()
    bad_status: int = 401
    bad_challenges: tuple[str, ...] = ()
    scope_challenges: tuple[str, ...] = ()
    body: bytes = b"refused\n"
    closes: bool = False
    cookie: str = ""


def _bearer(*challenges: str) -> Answer:
    return Answer(
        challenges=challenges,
        bad_challenges=('Bearer error="invalid_token"',),
        scope_challenges=('Bearer error="insufficient_scope"',),
    )


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
        'error_description="No bearer token found in the request"'
    ),
    "dcache": Answer(challenges=('Basic realm=""',), bad_challenges=('Basic realm=""',)),
    "storm": Answer(),
    "xrootd": Answer(status=403, bad_status=403, closes=True),
    "gwdatafind": Answer(bad_status=403, body=b'{"error": "no token"}'),
}


@dataclass
class Received:
    """A request that a server received; its `repr` shows no token."""

    method: str
    path: str
    query: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    status: int = 0

    @property
    def authorization(self) -> str | None:
        """The `Authorization` field's value."""
        return self.headers.get("authorization")


@dataclass(frozen=True)
class Redirect:
    """Where a path leads.

    Attributes
    ----------
    url : str
        The `Location`.
    status : int
        Such as 301, 302, 303, 307 or 308.
    copy_token : bool
        Whether the token that came with the request goes into the URL, as `authz=`: what
        Pelican's director does.
    """

    url: str
    status: int = 307
    copy_token: bool = False


# --- servers on loopback, each in its own thread


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for them
    request_queue_size = 128
    context: ssl.SSLContext | None = None

    def __init__(self, owner: _Server, handler: type[BaseHTTPRequestHandler]) -> None:
        self.owner = owner
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread, and not for ever."""
        request.settimeout(30)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            request = self.context.wrap_socket(
                request, server_side=True, do_handshake_on_connect=False
            )
        self.connections.add(request)
        try:
            with suppress(OSError):  # the client distrusts the certificate, or is gone
                if self.context is not None:
                    request.do_handshake()
                super().finish_request(request, client_address)
        finally:
            self.connections.discard(request)
            request.close()

    def server_close(self) -> None:
        """Hang up on everybody, then wait for the threads."""
        for connection in list(self.connections):
            with suppress(OSError):  # the client may have been quicker
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()


class _Server:
    """A server with a life cycle: `with` starts and closes it."""

    handler: ClassVar[type[BaseHTTPRequestHandler]]

    def __init__(self, host: str, ca: trustme.CA, *, tls: bool = True) -> None:
        self.ca = ca
        self._server = _HTTPServer(self, self.handler)
        self.url = f"http{'s' if tls else ''}://{host}:{self._server.server_port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            ca.issue_cert(host).configure_cert(context)
            self._server.context = context
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def write_ca(self, path: str | Path) -> None:
        """Write the authority's certificate, for `verify=` or `REQUESTS_CA_BUNDLE`."""
        self.ca.cert_pem.write_to_path(str(path))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write
    server: _HTTPServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, its name there
        """Say nothing."""

    def reply(self, status: int, body: bytes = b"", *fields: tuple[str, str]) -> None:
        """Send a whole response."""
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        """Read the request's body, in either form."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()  # the end; a trailer is not understood
        return b"".join(parts)


# --- the issuer


class _Keys(_Handler):
    def do_GET(self) -> None:
        issuer = self.server.owner
        assert isinstance(issuer, Issuer)  # noqa: S101, for the type checker
        documents: dict[str, object] = {
            "/.well-known/openid-configuration": {
                "issuer": issuer.url,
                "jwks_uri": f"{issuer.url}/keys",
            },
            "/keys": issuer.jwks,
        }
        if self.path not in documents:
            self.reply(404)
            return
        content = ("Content-Type", "application/json")
        self.reply(200, json.dumps(documents[self.path]).encode(), content)


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
    jwks : dict
        The public key, as a JSON Web Key Set (RFC 7517).
    public_key : bytes
        The public key in PEM.
    ca : trustme.CA
        The authority.

    Examples
    --------
    >>> with Issuer() as issuer:
    ...     token = issuer.mint("read:/frames", audience="https://storage.example.org")
    """

    handler = _Keys

    def __init__(self, *, ca: trustme.CA | None = None) -> None:
        super().__init__("localhost", ca or trustme.CA())
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        self.public_key: bytes = public.public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        )
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
            How long it is good, in seconds, down to whole ones; less than 0 for one that
            has expired.
        subject : str, optional
            Whose it is.
        **claims
            More claims.
        """
        token = SciToken(key=self._key, algorithm="ES256", key_id="test")
        token.update_claims({"scope": scope, "sub": subject})
        if audience is not None:
            token.update_claims({"aud": audience, "ver": "scitoken:2.0"})
        token.update_claims(claims)
        text: bytes = token.serialize(issuer=self.url, lifetime=lifetime)
        return text.decode()


# --- the protected server


class _Directory(MutableMapping[str, bytes]):
    """The files below a directory, by the path that a URL has."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def _path(self, name: str) -> Path:
        path = self._root.joinpath(name.lstrip("/")).resolve()
        if not path.is_relative_to(self._root):
            raise KeyError(name)
        return path

    def __getitem__(self, name: str) -> bytes:
        try:
            return self._path(name).read_bytes()
        except OSError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, content: bytes) -> None:
        path = self._path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def __delitem__(self, name: str) -> None:
        try:
            self._path(name).unlink()
        except OSError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        files = (path for path in self._root.rglob("*") if path.is_file())
        return (f"/{path.relative_to(self._root).as_posix()}" for path in files)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Protected(_Handler):
    def handle_one(self) -> None:
        server = self.server.owner
        assert isinstance(server, ProtectedServer)  # noqa: S101, for the type checker
        server.answer(self)

    do_GET = do_HEAD = do_OPTIONS = do_PUT = do_POST = do_PATCH = do_DELETE = handle_one


class ProtectedServer(_Server):
    """Serves files to those who bring a SciToken that allows it.

    `GET`, `HEAD` and `OPTIONS` need the scope `read:/path`, all others `write:/path`. The
    token comes in the `Authorization` field, or in the URL as `authz=`.

    Parameters
    ----------
    issuer : Issuer
        Whose tokens it takes.
    files : mapping or pathlib.Path, optional
        What it serves: contents by path, or a directory.
    answer : str or Answer, optional
        How it refuses; one of `ANSWERS`, or one of your own.
    audience : str or list of str, optional
        What it is called in tokens; by default its URL, with or without the scheme. A
        token without `aud`, or for any audience, is taken too.
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
        Every request so far, in the order of their ends.
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

    handler = _Protected

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
        super().__init__(host, ca or issuer.ca, tls=tls)
        self.files: MutableMapping[str, bytes] = (
            _Directory(files) if isinstance(files, Path) else dict(files or {})
        )
        self.received: list[Received] = []
        self.redirects: dict[str, Redirect] = {}
        self.rejects: set[str] | Callable[[str], bool] = set()
        self.protected = protected
        self._refusal = ANSWERS[answer] if isinstance(answer, str) else answer
        self._issuer = issuer
        own = [self.url, self.url.partition("://")[2]]
        own = [audience] if isinstance(audience, str) else list(audience or own)
        self._audience = [*own, "https://wlcg.cern.ch/jwt/v1/any"]
        self._verified: dict[str, SciToken] = {}

    def answer(self, handler: _Handler) -> None:
        """Answer one request, and write it down."""
        split = urlsplit(handler.path)
        headers = CaseInsensitiveDict[str](handler.headers.items())
        request = Received(handler.command, split.path, split.query, headers)
        token = _token(request)
        status, challenges = self._judge(request, token)
        if status and self._refusal.closes:
            handler.close_connection = True
        else:
            request.body = handler.body()
        request.status, body, fields = status, self._refusal.body, []
        redirect = self.redirects.get(split.path)
        if redirect is not None:
            request.status, body = redirect.status, b""
            separator = "&" if "?" in redirect.url else "?"
            copied = f"{separator}authz={token}" if redirect.copy_token and token else ""
            fields = [("Location", redirect.url + copied)]
        elif status:
            fields = [("WWW-Authenticate", challenge) for challenge in challenges]
            if self._refusal.cookie:
                fields.append(("Set-Cookie", self._refusal.cookie))
        else:
            request.status, body = self._serve(request)
        if handler.close_connection:
            fields.append(("Connection", "close"))
        self.received.append(request)
        handler.reply(request.status, body, *fields)

    def _judge(self, request: Received, token: str) -> tuple[int, tuple[str, ...]]:
        """Return the refusal's status, 0 for none, and its challenges."""
        refusal = self._refusal
        if not self.protected or request.path in self.redirects:
            return 0, ()
        if not token:
            return refusal.status, refusal.challenges
        rejects = self.rejects
        rejected = rejects(token) if callable(rejects) else token in rejects
        verified = None if rejected else self._verify(token)
        if verified is None:
            return refusal.bad_status, refusal.bad_challenges
        reads = request.method in ("GET", "HEAD", "OPTIONS")
        enforcer = Enforcer(self._issuer.url, audience=self._audience)
        if not enforcer.test(verified, "read" if reads else "write", request.path):
            if str(enforcer.last_failure).endswith("for claim 'scope'"):
                return 403, refusal.scope_challenges
            return refusal.bad_status, refusal.bad_challenges
        return 0, ()

    def _verify(self, token: str) -> SciToken | None:
        """Check the signature, and the expiry; the former once for each token."""
        if token not in self._verified:
            try:
                self._verified[token] = SciToken.deserialize(
                    token, public_key=self._issuer.public_key
                )
            except Exception:  # noqa: BLE001, from several libraries
                return None
        return self._verified[token]

    def _serve(self, request: Received) -> tuple[int, bytes]:
        path, exists = request.path, request.path in self.files
        if request.method == "OPTIONS":
            return 200, b""
        if request.method in ("PUT", "POST", "PATCH"):
            self.files[path] = request.body
            return (204, b"") if exists else (201, b"")
        if not exists:
            return 404, b"not found\n"
        if request.method == "DELETE":
            del self.files[path]
            return 204, b""
        return 200, self.files[path]


def _token(request: Received) -> str:
    """Return the token that came with a request; empty if there was none."""
    scheme, _, token = (request.authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return token
    return parse_qs(request.query).get("authz", [""])[0]
