"""Stands in for gssapi where Kerberos is not used."""
