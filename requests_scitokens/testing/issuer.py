"""A SciTokens issuer: mints tokens, and publishes the key to check them with."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scitokens import SciToken

from .loopback import Handler, Server


class Issuer(Server):
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
        self.jwks: dict[str, list[dict[str, str]]] = {
            "keys": [{**key, "kid": "test", "alg": "ES256", "use": "sig"}]
        }

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

    def _answer(self, handler: Handler) -> None:
        handler.body()
        configuration = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        documents: dict[str, object] = {
            "/.well-known/openid-configuration": configuration,
            "/keys": self.jwks,
        }
        found = handler.path in documents
        body = json.dumps(documents.get(handler.path)).encode()
        handler.reply(200 if found else 404, body, ("Content-Type", "application/json"))
