"""Stands in for M2Crypto where X.509 certificates are not used."""  # noqa: N999, it is called that

from unittest.mock import MagicMock

BIO = EVP = Err = RSA = X509 = m2 = MagicMock()
