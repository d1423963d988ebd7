"""Stands in for M2Crypto.ASN1."""  # noqa: N999, it is called that

from datetime import timezone

UTC = timezone.utc
