"""The cheapest https server that can challenge: what is measured is the client.

HTTP/1.1 with kept connections on bare TLS. It wants `Authorization: Bearer` and does not
look at the token.
"""

import selectors
import socket
import ssl
import sys

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"
CHALLENGE = (
    b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n"
)


def main(certificate):
    """Serve on a port of loopback, which is printed, until standard input ends."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print(listener.getsockname()[1], flush=True)
    received = {}
    while True:
        for key, _ in selector.select():
            source = key.fileobj
            if source is sys.stdin:
                return
            if source is listener:
                client = tls.wrap_socket(source.accept()[0], server_side=True)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                received[client] = b""
                selector.register(client, selectors.EVENT_READ)
                continue
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            if not data:
                selector.unregister(source)
                del received[source]
                source.close()
                continue
            head = received[source] = received[source] + data
            if head.endswith(b"\r\n\r\n"):
                received[source] = b""
                source.sendall(OK if b"\r\nAuthorization: Bearer " in head else CHALLENGE)


if __name__ == "__main__":
    main(sys.argv[1])
