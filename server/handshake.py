"""Connections that become a WebSocket: the bytes read so far go to the WebSocket protocol class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Transport

    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from userline.server.heads import Head


def hand_over(  # noqa: PLR0913 - what Uvicorn gives a protocol, and what was read
    head: Head,
    what_follows: bytes,
    transport: Transport,
    *,
    config: Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    is_paused: bool,
) -> None:
    """Have another protocol go on with the connection, beginning with the handshake.

    ``is_paused`` says that the client is to read before more is written.
    """
    make: Any = config.ws_protocol_class
    protocol = make(config=config, server_state=server_state, app_state=app_state)
    protocol.connection_made(transport)
    if is_paused:
        protocol.pause_writing()
    transport.set_protocol(protocol)
    protocol.data_received(_handshake(head))
    if what_follows:
        protocol.data_received(what_follows)


def _handshake(head: Head) -> bytes:
    """Return the head again, as the library reads it that WebSockets are made with: it has no body."""
    target = head.raw_path + (b"?" + head.query_string if head.query_string else b"")
    lines = [b"%b: %b\r\n" % header for header in head.headers if header[0] != b"content-length"]
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (target, b"".join(lines))
