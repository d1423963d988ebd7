"""The cheapest server that can challenge: what is measured is the client.

HTTP/1.1 with kept connections on plain sockets. It wants `Authorization: Bearer` and does
not look at the token. How many requests a port has had is at its `/count`, and starts
anew once that was read.
"""

import json
import selectors
import socket
import sys

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"
CHALLENGE = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n"
)


def main(origins):
    """Serve on this many ports of loopback, until standard input ends."""
    selector = selectors.DefaultSelector()
    address = ("127.0.0.1", 0)
    listeners = [socket.create_server(address, backlog=128) for _ in range(origins)]
    for listener in listeners:
        selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print(json.dumps([listener.getsockname()[1] for listener in listeners]), flush=True)
    listening, received, counts = set(listeners), {}, {}
    while True:
        for key, _ in selector.select():
            source = key.fileobj
            if source is sys.stdin:
                return
            if source in listening:
                client = source.accept()[0]
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                received[client] = b""
                counts.setdefault(client.getsockname(), 0)
                selector.register(client, selectors.EVENT_READ)
                continue
            try:
                data = source.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                selector.unregister(source)
                del received[source]
                source.close()
                continue
            head = received[source] = received[source] + data
            if not head.endswith(b"\r\n\r\n"):
                continue
            received[source], port = b"", source.getsockname()
            if head.startswith(b"GET /count "):
                body = str(counts[port]).encode()
                size = str(len(body)).encode()
                source.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: " + size + b"\r\n\r\n" + body
                )
                counts[port] = 0
                continue
            counts[port] += 1
            source.sendall(OK if b"\r\nAuthorization: Bearer " in head else CHALLENGE)


if __name__ == "__main__":
    main(int(sys.argv[1]))
