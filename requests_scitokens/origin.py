"""Which scheme, host and port Requests connects to for a URL; pure functions."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from requests import PreparedRequest, RequestException
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

DEFAULT_PORTS = {"http": 80, "https": 443}

#: Query parameters that hold a token or its like: RFC 6750 section 2.3 and the
#: storage servers; their redirects; object stores' presigned addresses.
TOKEN_PARAMETERS = frozenset(
    {
        "access_token",
        "authz",
        "dcache-http-uuid",
        "x-amz-signature",
        "x-goog-signature",
        "xrdhttptk",
    }
)


class Origin:
    """Scheme, host and port of a URL (RFC 6454), normalised."""

    def __init__(self, scheme: str, host: str, port: int) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Origin):
            return NotImplemented
        return (
            self.host == other.host
            and self.port == other.port
            and self.scheme == other.scheme
        )

    def __hash__(self) -> int:
        return hash((self.scheme, self.host, self.port))

    @property
    def netloc(self) -> str:
        """Host and port as a URL has them; a default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = DEFAULT_PORTS.get(self.scheme)
        return host if self.port == default else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


#: The origin of a URL that has none, as a request to a socket of this machine. No other
#: URL has the same, so whatever a redirect from there leads to is another.
NOWHERE = Origin("", "", 0)


def origin_of(url: str | None) -> Origin | None:
    """Return where Requests will connect to for this URL.

    `None` where that is not HTTP, or where one parser of URLs reads another host
    than the next: Requests uses two, and only one of them connects.
    """
    url = url or ""
    path = url.find("/", len("https://"))  # all that Requests sends have one
    return _read(url) if path < 0 else _remembered(url[:path])


def _read(url: str) -> Origin | None:
    match = re.match(r"https?://[^/?#]*", url, re.IGNORECASE)
    if match is None:
        return None
    start = match[0]
    scheme, authority = start.lower().split("://")
    found = split_host_port(authority.rpartition("@")[2]) if _one_reading(start) else None
    if found is None:
        return None
    return Origin(scheme, found[0], found[1] or DEFAULT_PORTS[scheme])


_remembered = lru_cache(maxsize=10_000)(_read)  # as many as `memory.taken` holds


def _one_reading(start: str) -> bool:
    try:
        one, other = urlsplit(start), parse_url(start)
        return (one.hostname, one.port) == ((other.host or "").strip("[]"), other.port)
    except (ValueError, HTTPError):
        return False


# Compiled by `re` when they are used: most programs that import this never do.
_HOST_PORT = r"(\[[0-9a-f:.]+\]|[^\[\]:@/\\?#%\s]+)(?::([0-9]{1,5}))?"
_NAME = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"


def split_host_port(text: str) -> tuple[str, int | None] | None:
    """Split and normalise `host`, `host:port` or `[::1]:port`."""
    match = re.fullmatch(_HOST_PORT, text.lower())
    if match is None:
        return None
    host, port = match[1], int(match[2]) if match[2] else None
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(host[1:-1]).compressed, port
        except ValueError:
            return None
    if not host.isascii():
        host = _to_ascii(host)
    host = host.removesuffix(".")
    return (host, port) if re.fullmatch(_NAME, host) else None


def _to_ascii(host: str) -> str:
    """Apply IDNA exactly as Requests does to the host of a URL."""
    request = PreparedRequest()
    try:
        request.prepare_url(f"https://{host}/", None)
    except RequestException:
        return ""
    return urlsplit(request.url or "").hostname or ""


def default_audience(url: str, scheme: str = "https") -> str:
    """Return scheme and host of a URL, without the port.

    Parameters
    ----------
    url : str
        The URL; the scheme may be missing.
    scheme : str, optional
        The scheme for a URL that has none.

    Examples
    --------
    >>> default_audience("https://storage.example.org:1094/data")
    'https://storage.example.org'
    >>> default_audience("storage.example.org/data")
    'https://storage.example.org'
    """
    split = urlsplit(url if "://" in url else f"{scheme}://{url}")
    host = split.hostname or ""
    return f"{split.scheme}://{f'[{host}]' if ':' in host else host}"


def is_address(host: str) -> bool:
    """Tell whether this is an IP address, in whatever way it is written."""
    return ":" in host or host.rpartition(".")[2].removeprefix("0x").isdecimal()


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Tell whether this host can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def carries_token(url: str) -> bool:
    """Tell whether a query parameter of this URL holds a token."""
    names = (name.lower() for name, _ in parse_qsl(urlsplit(url).query))
    return any(name in TOKEN_PARAMETERS for name in names)
