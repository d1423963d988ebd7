"""An HTTP server on loopback that ends with the test: no thread, no socket is left."""

from __future__ import annotations

import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    from typing_extensions import Self


class _Listener(ThreadingTCPServer):  # HTTPServer would ask DNS for its own name
    request_queue_size = 128

    def __init__(self, owner: Server, context: ssl.SSLContext | None) -> None:
        self.owner: Server = owner
        self.context: ssl.SSLContext | None = context
        self.clients: dict[Thread, socket.socket] = {}
        super().__init__(("127.0.0.1", 0), Handler)

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


class Handler(BaseHTTPRequestHandler):
    """One connection; what it asks for, the server's owner answers."""

    protocol_version = "HTTP/1.1"
    server: _Listener

    def dispatch(self) -> None:
        """Have one request answered."""
        self.server.owner._answer(self)

    do_GET: Callable[[Handler], None] = dispatch
    do_HEAD: Callable[[Handler], None] = dispatch
    do_OPTIONS: Callable[[Handler], None] = dispatch
    do_PUT: Callable[[Handler], None] = dispatch
    do_POST: Callable[[Handler], None] = dispatch
    do_PATCH: Callable[[Handler], None] = dispatch
    do_DELETE: Callable[[Handler], None] = dispatch

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def reply(
        self,
        status: int,
        body: bytes = b"",
        *fields: tuple[str, str],
        sent: int | None = None,
    ) -> None:
        """Send a response in one write: two would wait for each other (Nagle).

        With `sent`, no more of the body goes out than that many bytes.
        """
        lines = [f"{self.protocol_version} {status} {self.responses.get(status, ['?'])[0]}"]
        lines += [f"{name}: {value}" for name, value in fields]
        if status != 204:  # RFC 9110 section 8.6
            lines.append(f"Content-Length: {len(body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.wfile.write(head if self.command == "HEAD" else head + body[:sent])

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


class Server(ABC):
    """What every server here is: started and closed, with a URL and a certificate."""

    def __init__(self, host: str, ca: trustme.CA, *, tls: bool = True) -> None:
        self.ca = ca
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if context is not None:
            ca.issue_cert(host).configure_cert(context)
        self._listener = _Listener(self, context)
        self._closing = Event()
        port = self._listener.server_address[1]
        self.url: str = f"http{'s' if tls else ''}://{host}:{port}"
        self._thread = Thread(
            target=self._listener.serve_forever, args=(0.02,), daemon=True
        )

    def start(self) -> Self:
        """Serve; what `with` does."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Hang up on everybody, and stop; also done at the end of a `with` block."""
        self._closing.set()
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
    def _answer(self, handler: Handler) -> None:
        """Answer one request."""
