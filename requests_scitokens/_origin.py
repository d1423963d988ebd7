"""Which scheme, host and port Requests connects to for a URL; pure functions."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Scheme, host and port of a URL (RFC 6454), normalised."""

    scheme: str
    host: str
    port: int

    @property
    def netloc(self) -> str:
        """Host and port as a URL has them; a default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = DEFAULT_PORTS.get(self.scheme)
        return host if self.port == default else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}"


#: The origin of a URL that has none, as of a request to a socket of this machine. No other
#: URL has the same, so wherever a redirect leads from there is another origin.
NOWHERE = Origin("", "", 0)


def origin_of(url: object) -> Origin | None:
    """Return where Requests will connect to for this URL.

    `None` where that is not HTTP, or where one parser of URLs reads another host than the
    next: Requests uses two, and only one of them connects.
    """
    match = _START.match(url) if isinstance(url, str) else None
    return _read(match[0]) if match else None


# No longer than a user, a password, a host name and a port can be: whoever redirects may
# write what they like there, and it is remembered.
_START = re.compile(r"https?://[^/?#]{1,300}(?![^/?#])", re.IGNORECASE)


@lru_cache(maxsize=10_000)  # two parsers take longer than all else here
def _read(start: str) -> Origin | None:
    try:
        one, other = urlsplit(start), parse_url(start)
        alike = (one.hostname, one.port) == ((other.host or "").strip("[]"), other.port)
    except (ValueError, HTTPError):
        return None
    scheme, authority = start.lower().split("://")
    found = split_host_port(authority.rpartition("@")[2]) if alike else None
    if found is None:
        return None
    host, port = found
    return Origin(scheme, host, DEFAULT_PORTS[scheme] if port is None else port)


_HOST_PORT = r"(\[[0-9a-f:.]+\]|[^\[\]:@/\\?#%\s]+)(?::([0-9]{1,5}))?"
_NAME = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?"


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
    return (host.removesuffix("."), port) if re.fullmatch(_NAME, host) else None


def _to_ascii(host: str) -> str:
    """Apply IDNA exactly as Requests does to the host of a URL."""
    from requests import PreparedRequest, RequestException  # start-up waits for Requests

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
    >>> default_audience("storage.example.org:1094/data")
    'https://storage.example.org'
    """
    split = urlsplit(url if "://" in url else f"{scheme}://{url}")
    host = split.hostname or ""
    return f"{split.scheme}://{f'[{host}]' if ':' in host else host}"


@lru_cache(maxsize=1000)
def is_loopback(host: str) -> bool:
    """Tell whether this host can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


#: Query parameters that are a credential, in lower case: one line for each scheme. All
#: the names of a line must be there, since `signature` alone may be anything. What is as
#: often something else is not here: `key` (Dataverse's API token), `token` (Girder's),
#: `api_key` (of an application, beside a user's token).
CREDENTIALS = (
    {"access_token"},  # RFC 6750 section 2.3
    {"authz"},  # XRootD, EOS, dCache's macaroons, Pelican's director
    {"xrdhttptk"},  # XRootD, from one server to the next
    {"dcache-http-uuid"},  # dCache's pools
    {"cap.sym", "cap.msg"},  # EOS's storage nodes
    {"delegation", "op"},  # WebHDFS (Apache Hadoop, "WebHDFS REST API", Authentication)
    {"private_token"},  # GitLab ("REST API authentication")
    {"job_token"},  # GitLab's CI jobs (likewise)
    {"authorization"},  # Backblaze B2 (b2_get_download_authorization)
    {"keyname", "signature"},  # Google Cloud CDN (signed URLs)
    {"until", "user", "method", "token"},  # Dataverse (signed URLs)
    {"x-amz-signature"},  # Amazon S3 and all that copy it, version 4
    {"awsaccesskeyid", "signature"},  # likewise, version 2
    {"x-goog-signature"},  # Google Cloud Storage, version 4
    {"googleaccessid", "signature"},  # likewise, version 2
    {"sig", "sv"},  # Azure's shared access signatures
    {"key-pair-id", "signature"},  # Amazon CloudFront
    {"temp_url_sig", "temp_url_expires"},  # OpenStack Swift
    {"x-oss-signature"},  # Alibaba OSS, version 4
    {"ossaccesskeyid", "signature"},  # likewise, version 1
    {"q-signature", "q-ak"},  # Tencent COS
    {"x-obs-signature"},  # Huawei OBS, version 4
    {"accesskeyid", "signature"},  # likewise, version 2
    {"x-tos-signature"},  # Volcengine TOS
)


def carries_credential(url: str) -> bool:
    """Tell whether the query of this URL holds a credential."""
    if "?" not in url:
        return False
    query = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    names = {name.lower() for name, _ in query}
    return any(scheme <= names for scheme in CREDENTIALS)
