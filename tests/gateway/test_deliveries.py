"""Frames that sockets share, and the order in which they are written."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from userline.changes.hub import Hub
from userline.gateway.websocket.deliveries import Deliveries, Frames, Slot
from userline.gateway.websocket.protocol import LegacyWS, TransportWS
from userline.gateway.websocket.watches import SocketWatches
from userline.server.direct import DirectSocket, text_frame
from userline.users.record import UserSnapshot

if TYPE_CHECKING:
    from userline.execution.plans.subscriptions import WatchStep


class Step:
    """A selection whose response is a name."""

    def __init__(self, label: str) -> None:
        self._label = label
        self.encoded = 0

    def encode(self, snapshot: UserSnapshot | None) -> bytes:
        self.encoded += 1
        return f'"{self._label} of {snapshot.name if snapshot else None}"'.encode()


class Transport:
    """Writes down what is written, in the order of all transports."""

    def __init__(self, written: list[tuple[int, bytes]], number: int) -> None:
        self._written = written
        self._number = number
        self.closing = False

    def write(self, data: bytes) -> None:
        self._written.append((self._number, data))

    def is_closing(self) -> bool:
        return self.closing


def snapshot(version: int) -> UserSnapshot:
    return UserSnapshot(
        id="alice",
        version=version,
        name=f"Name {version}",
        custom=MappingProxyType({}),
        locale=None,
        photo_url=None,
        role="default",
        welcome_message=None,
    )


def text_in(data: bytes) -> bytes:
    """Return the text of the one frame in these bytes, as a client reads it."""
    client = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN, max_size=None)
    client.receive_data(data)
    (event,) = client.events_received()
    assert isinstance(event, Frame)
    assert (event.opcode, event.fin) == (Opcode.TEXT, True)
    return bytes(event.data)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 200_000])
def test_frames_of_every_length_are_read_by_a_client(length: int) -> None:
    assert text_in(text_frame(b"x" * length)) == b"x" * length


def test_a_frame_is_made_once_for_who_gets_the_same_and_anew_for_who_does_not() -> None:
    steps = [Step("a"), Step("b")]
    snapshots = [snapshot(1), snapshot(2), None]
    prefixes = [b"1:", b"2:"]
    frames = Frames()
    for step in steps:
        for shown in snapshots:
            for prefix in (*prefixes, *prefixes, prefixes[1]):
                frame = frames.of(cast("WatchStep", step), shown, prefix)
                assert text_in(frame) == prefix + Step.encode(step, shown) + b"}"
                assert frames.of(cast("WatchStep", step), shown, prefix) is frame
                step.encoded -= 1
        assert step.encoded == len(snapshots)


def test_sockets_with_the_same_short_id_share_their_prefix_and_long_ids_are_not_kept() -> None:
    modern, legacy = TransportWS(), LegacyWS()
    assert modern.next_prefix("1") is TransportWS().next_prefix("1")
    assert modern.next_prefix("1") == b'{"id":"1","type":"next","payload":'
    assert legacy.next_prefix("1") == b'{"id":"1","type":"data","payload":'
    assert modern.next_prefix('"\\') == b'{"id":"\\"\\\\","type":"next","payload":'
    long = "0b7c2a58-0c5e-4f4e-9f2a-6a2f3c0d1e9b"
    assert modern.next_prefix(long) == modern.next_prefix(long)
    assert modern.next_prefix(long) is not modern.next_prefix(long)


class Sockets:
    """Sockets that watch alice, each with its own slot."""

    def __init__(self, count: int) -> None:
        self.written: list[tuple[int, bytes]] = []
        self.hub = Hub()
        self.deliveries = Deliveries()
        self.step = cast("WatchStep", Step("event"))
        self.sockets: list[DirectSocket] = []
        self.watches: list[SocketWatches] = []
        for number in range(count):
            socket = DirectSocket()
            socket.transport = cast("asyncio.Transport", Transport(self.written, number))
            socket.handshake_complete = True
            watches = SocketWatches(socket, self.deliveries, _fail, lambda _: lambda: None)
            self.hub.watch("alice", Slot(watches, "alice", self.step, TransportWS().next_prefix("1")))
            self.sockets.append(socket)
            self.watches.append(watches)

    async def change(self, version: int) -> list[int]:
        """Return which sockets were written to, in their order; all must have got the same frame."""
        self.written.clear()
        self.hub.hear(snapshot(version))
        for _ in range(5):
            await asyncio.sleep(0)
        assert len({id(data) for _, data in self.written}) <= 1
        return [number for number, _ in self.written]


def _fail(operation_id: str, errors: Any, *, has_begun: bool) -> None:
    raise AssertionError((operation_id, errors, has_begun))


@pytest.fixture(autouse=True)
def long_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent in another turn is made anew."""
    monkeypatch.setattr("userline.gateway.websocket.deliveries._TURN_SECONDS", 60)


async def test_sockets_are_written_to_in_the_order_in_which_they_came() -> None:
    sockets = Sockets(200)
    with sockets.hub.reading(["alice"]) as reading:
        reading.confirm("alice", snapshot(1))
    assert await sockets.change(2) == list(range(200))
    assert text_in(sockets.written[0][1]) == b'{"id":"1","type":"next","payload":"event of Name 2"}'
    assert await sockets.change(3) == list(range(200))


async def test_a_socket_that_cannot_be_written_to_is_passed_over_until_it_can() -> None:
    sockets = Sockets(6)
    with sockets.hub.reading(["alice"]) as reading:
        reading.confirm("alice", snapshot(1))
    await sockets.change(2)
    paused, closed, closing, opening = sockets.sockets[1:5]
    paused.is_paused = True
    closed.close_sent = True
    cast("Transport", closing.transport).closing = True
    opening.handshake_complete = False
    assert await sockets.change(3) == [0, 5]
    assert await sockets.change(4) == [0, 5]
    paused.is_paused = False
    assert paused.on_writable is not None
    paused.on_writable()
    sockets.written.clear()
    await asyncio.sleep(0.01)
    ((number, data),) = sockets.written
    assert number == 1
    assert text_in(data) == b'{"id":"1","type":"next","payload":"event of Name 4"}'
    assert await sockets.change(5) == [0, 1, 5]
