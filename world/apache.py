"""Apache with mod_auth_openidc, which has two ways to ask for a token."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import jwt
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from .frame import (
    FailedError,
    Row,
    Server,
    User,
    battery,
    broken,
    debian,
    noted,
    serving,
    web_home,
)

MODULES = (
    *("mpm_event", "authn_core", "authz_core", "authz_user", "auth_openidc", "ssl"),
    *("socache_shmcb", "dav", "dav_fs", "dav_lock"),
)
CONFIGURATION = """
ServerRoot {home}
ServerName localhost
PidFile {home}/pid
ErrorLog {home}/log
Listen 127.0.0.1:{port}
{modules}
User www-data
Group www-data
DocumentRoot {home}/files
DavLockDB {home}/locks
SSLEngine on
SSLCertificateFile {home}/server.pem
SSLCertificateKeyFile {home}/server.key
OIDCCryptoPassphrase of-no-importance-here
OIDCOAuthVerifyCertFiles test#{home}/issuer.pem
OIDCOAuthRemoteUserClaim sub
OIDCProviderIssuer {url}/provider
OIDCProviderAuthorizationEndpoint {url}/provider/login
OIDCProviderTokenEndpoint {url}/provider/token
OIDCProviderJwksUri {url}/provider/keys
OIDCClientID us
OIDCClientSecret secret
OIDCRedirectURI {url}/back
<Location />
AuthType {kind}
Require claim scope:read:/
Dav On
</Location>
<Location /provider>
AuthType None
Require all granted
</Location>
"""


def oauth20(row: Row) -> None:
    """Try `AuthType oauth20`, for programs alone."""
    try_one(row, "oauth20")


def auth_openidc(row: Row) -> None:
    """Try `AuthType auth-openidc`, for browsers and programs."""
    try_one(row, "auth-openidc")


def try_one(row: Row, kind: str) -> None:
    """Try Debian 14's."""
    system = debian("forky")
    row.version = system.version("apache2")
    module = system.version("libapache2-mod-auth-openidc")
    row.server += f", mod_auth_openidc {module}, `AuthType {kind}`"
    key = rsa.generate_private_key(65537, 2048)
    home, port = web_home(system, CA(), certificate(key))
    url = f"https://localhost:{port}"
    folder = "/usr/lib/apache2/modules"
    modules = "\n".join(f"LoadModule {one}_module {folder}/mod_{one}.so" for one in MODULES)
    text = CONFIGURATION.format(
        home=f"/srv/{home.name}", port=port, url=url, modules=modules, kind=kind
    )
    (home / "httpd.conf").write_text(text)
    path = f"/srv/{home.name}/httpd.conf"
    command = ("/usr/sbin/apache2", "-D", "FOREGROUND", "-f", path)

    def good(**options: Any) -> str:
        return mint(key, **options)

    bad = {
        "expired": good(lifetime=-60),
        "signature": broken(good()),
        "scope": good(scope="write:/"),
    }
    login = home / "files/provider/login"
    login.parent.mkdir()
    login.write_text("<html>Please log in</html>")
    asks = kind == "oauth20"
    server = Server(url, home / "ca.pem", good, bad, uploads=True, listed=not asks)
    with serving(system, command, home, port):
        battery(row, server)
        if not asks:
            with noted(row, "without hosts"):
                user = User(server)
                user.has(good())
                got = user.run(
                    "auth=", "read", url + server.path, REQUESTS_SCITOKENS_HOSTS=""
                )
                if got != [200, login.read_text()]:
                    raise FailedError(f"{got}")
            row.notes.append(
                "it asks nobody for a token: without `hosts`, a program that has a token "
                "for any server gets the login page, with 200"
            )


class CA:
    """The authority of the server's certificate."""

    def __init__(self) -> None:
        self.ca = trustme.CA()


def mint(key: rsa.RSAPrivateKey, *, lifetime: float = 600, scope: str = "read:/") -> str:
    """Return a token with a signature of the kind that this module knows best."""
    now = time.time()
    claims = {
        "iss": "https://issuer.example.org",
        "sub": "tester",
        "aud": "ANY",
        "ver": "scitoken:2.0",
        "scope": scope,
        "jti": str(now),
        "iat": int(now),
        "nbf": int(now),
        "exp": int(now + lifetime),
    }
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "test"})


def certificate(key: rsa.RSAPrivateKey) -> bytes:
    """Return a certificate of the issuer's key, since it takes no bare keys."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    now = dt.datetime.now(dt.timezone.utc)
    day = dt.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
