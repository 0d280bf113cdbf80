"""Certificates of the run's own, for gateways with TLS: good ones, and one that nobody trusts."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


def make_certificate(path: Path) -> Path:
    """Write a key and a certificate of 127.0.0.1 that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, path.stem)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


class Authority:
    """Who the drivers trust: one certificate, and not the other one."""

    def __init__(self, directory: Path) -> None:
        self._trusted = make_certificate(directory / "trusted.pem")
        self._stranger = make_certificate(directory / "stranger.pem")
        # What Python and most others look at, and what Node does.
        self.environment: dict[str, str] = {
            "SSL_CERT_FILE": str(self._trusted),
            "NODE_EXTRA_CA_CERTS": str(self._trusted),
        }
        """What tells drivers whom to trust."""

    def context(self) -> ssl.SSLContext:
        """Return what a gateway with the trusted certificate is given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._trusted)
        return context

    def distrust(self, context: ssl.SSLContext) -> None:
        """Let a gateway show the other certificate from now on."""
        context.load_cert_chain(self._stranger)
