"""Servers at made-up names that write down what they receive, and from whom it came."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import trustme

from requests_scitokens.testing.loopback import Server

#: The status and the fields of an answer.
Answer = tuple[int, tuple[tuple[str, str], ...]]


class Seen(NamedTuple):
    """A request, as the server at `origin` received it."""

    origin: str
    path: str
    authorization: str | None


class _Recorder(Server):
    """The server at one origin."""

    def __init__(self, origin: str, world: World, ca: trustme.CA) -> None:
        split = urlsplit(origin)
        super().__init__(split.hostname or "", ca, tls=split.scheme == "https")
        self.origin, self.world = origin, world
        self.port = self._listener.server_address[1]

    def _answer(self, handler: Any) -> None:
        handler.body()
        seen = Seen(self.origin, handler.path, handler.headers.get("Authorization"))
        self.world.received.append(seen)  # before the client can look
        status, fields = self.world.answer(seen)
        handler.reply(status, b"", *fields)


class World:
    """All the origins there are; names of hosts lead to them and nowhere else.

    Attributes
    ----------
    received : list of Seen
        What all of them have received, in order.
    answer : callable
        What they answer to a `Seen`: the status, and header fields.
    resolved : list of tuple
        Every host and port that was looked up.
    """

    def __init__(self, ca: trustme.CA, *origins: str) -> None:
        self.received: list[Seen] = []
        self.resolved: list[tuple[str, int]] = []
        self.answer: Callable[[Seen], Answer] = lambda seen: (200, ())
        self._servers = [_Recorder(origin, self, ca) for origin in origins]
        self._ports = {_place(one.origin): one.port for one in self._servers}
        self._stack = ExitStack()
        self._really = socket.getaddrinfo

    def __enter__(self) -> World:
        for server in self._servers:
            self._stack.enter_context(server)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        """Find the server; stands in for `socket.getaddrinfo`."""
        name = host.decode() if isinstance(host, bytes) else host
        self.resolved.append((name, port))
        if (name, port) not in self._ports:
            raise socket.gaierror(socket.EAI_NONAME, f"{name}:{port} is not in this world")
        return self._really("127.0.0.1", self._ports[name, port], *args, **kwargs)


def _place(origin: str) -> tuple[str, int]:
    split = urlsplit(origin)
    return split.hostname or "", split.port or {"http": 80, "https": 443}[split.scheme]
