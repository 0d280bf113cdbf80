"""What the tests of several files use."""

from __future__ import annotations

import asyncio
import ipaddress
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.gateway import RunningGateway
from tests.support.waiting import until

from userline_client import Backoff, Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SOON = Backoff(base=0.005, ceiling=0.02)
"""For tests that lose connections and do not want to wait."""

_open_sessions = 0


def new_id() -> str:
    """Return the id of a user that no other test has."""
    return f"user-{uuid4()}"


def subscribe_operations(session: Session) -> int:
    """How many operations the session has begun over its first socket, of any kind."""
    return session._core.connection._operations._last_id


def make_certificate(directory: Path) -> Path:
    """Return a file with a key and a certificate of 127.0.0.1 that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / "certificate.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def session_with(gateway: RunningGateway | str, **options: Any) -> AsyncIterator[Session]:
    """Open a session with a gateway or a URL, and check that nothing of it is left behind.

    Of sessions in each other, the outermost checks.
    """
    global _open_sessions  # noqa: PLW0603
    url = gateway.websocket_url if isinstance(gateway, RunningGateway) else gateway
    before = asyncio.all_tasks()
    _open_sessions += 1
    try:
        async with Session(url, **options) as session:
            yield session
    finally:
        _open_sessions -= 1
    if not _open_sessions:
        left = [task for task in asyncio.all_tasks() - before if _is_of_the_client(task)]
        assert not left, left
        await until(lambda: asyncio.all_tasks() <= before)  # those at the other end of the socket


def _is_of_the_client(task: asyncio.Task[Any]) -> bool:
    return any("userline_client" in frame.f_code.co_filename for frame in task.get_stack())
