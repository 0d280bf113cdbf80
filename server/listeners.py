"""The listeners of a gateway: TCP addresses, and Unix sockets."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncio import BaseTransport
    from collections.abc import Iterator

UNIX: Final = "unix:"
"""What an address begins with that is a path of a socket in the file system."""

UNIX_CLIENT: Final = ("unix", 0)
"""Who is at the other end of such a socket."""

_UNIX_MODE: Final = 0o666
"""Every user of the machine may connect, as to a loopback address; who may not is kept out by the directory."""


@contextmanager
def listening(host: str, port: int, *, backlog: int) -> Iterator[socket.socket]:
    """Listen on an address until this is left. Raises OSError with a sentence.

    ``host`` is an IP address, a name, or ``unix:`` and a path, where ``port`` says nothing.
    """
    try:
        listener = _listen_on_file(_path_of(host), backlog) if is_file(host) else _listen(host, port, backlog)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        where = host if is_file(host) else f"{host}, port {port}"
        raise OSError(error.errno, f"Cannot listen on {where}: {reason}.") from error
    with listener:
        if not is_file(host):
            yield listener
            return
        path = _path_of(host)
        made = path.stat().st_ino
        try:
            yield listener
        finally:
            with suppress(OSError):
                if path.stat().st_ino == made:
                    path.unlink()


def is_file(host: str) -> bool:
    """Whether an address is a socket in the file system."""
    return host.startswith(UNIX)


def _path_of(host: str) -> Path:
    return Path(host.removeprefix(UNIX))


def url_of(listener: socket.socket) -> str:
    """Return where clients find a listener."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"{UNIX}{name}"
    host, port = name[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def client_of(transport: BaseTransport, client: tuple[str, int] | None) -> tuple[str, int] | None:
    """Return who is at the other end, of whom Uvicorn knows ``client``."""
    if client is not None:
        return client
    connection: Any = transport.get_extra_info("socket")
    return UNIX_CLIENT if connection is not None and connection.family == socket.AF_UNIX else None


def give_up_on_silent_clients(listener: socket.socket, ping_seconds: float) -> None:
    """Have the system end connections, where it can, whose client acknowledges nothing of what was sent to it."""
    if ping_seconds and listener.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1000, int(ping_seconds * 2000)))


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=backlog)


def _listen_on_file(path: Path, backlog: int) -> socket.socket:
    """Listen on a path, in place of a socket there that nobody listens on any more."""
    _remove_if_dead(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(_UNIX_MODE)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_if_dead(path: Path) -> None:
    try:
        is_socket = stat.S_ISSOCK(path.stat().st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        return  # what is there stays, and bind says that the address is in use
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
