"""A server that keeps the very bytes that it received."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from threading import Thread
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

# What no server receives: it marks where the test looks.
_MARK = b"MARK"


class Wire:
    """Listens on loopback, and answers each request with the same bytes.

    Attributes
    ----------
    url : str
        Its scheme, host and port.
    answer : bytes
        What it sends to a request whose headers it has.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.answer = OK
        self._received: list[bytearray] = []
        self._threads: list[Thread] = []
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # to be seen by the thread, which may wait
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def take(self) -> list[bytes]:
        """Return what came over each connection since the last time, and forget it.

        What differs from one request to the next is made the same: the boundary of
        `files=`.
        """
        # Connections are accepted in order; so all that came before this one are known.
        with socket.create_connection(self._listener.getsockname()) as last:
            last.sendall(_MARK)
            last.shutdown(socket.SHUT_WR)
            while last.recv(1000):
                pass
        for thread in self._threads:
            thread.join(30)
        received = [bytes(one) for one in self._received if one != _MARK]
        self._received.clear()
        self._threads.clear()
        return [_same_boundary(one) for one in received]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            client.settimeout(30)
            received = bytearray()
            self._received.append(received)
            thread = Thread(target=self._serve, args=(client, received), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket, received: bytearray) -> None:
        with client, suppress(OSError):
            while b"\r\n\r\n" not in received:
                part = client.recv(65536)
                if not part:
                    return
                received += part
            # Not all that was announced may come, and nobody waits for it then.
            client.sendall(self.answer)
            client.shutdown(socket.SHUT_WR)
            while part := client.recv(65536):
                received += part


def _same_boundary(request: bytes) -> bytes:
    boundary = re.search(rb"boundary=([0-9a-f]{32})\b", request)
    return request.replace(boundary[1], b"x" * 32) if boundary else request


def put_into_words(error: BaseException) -> str:
    """Say what an exception and its causes are, without addresses in memory."""
    words = []
    one: Any = error
    while one is not None:
        words.append(f"{type(one).__name__}: {one}")
        one = one.__cause__ or one.__context__
    return re.sub(r"0x[0-9a-f]+|boundary=\w+", "...", "; from ".join(words))
