"""The bus: what goes in comes out at every listener, and nonsense harms nobody."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING

import orjson
import pytest

from userline.changes.bus import CHANNEL, Bus, BusMessageError, decode_change, encode_change
from userline.users.record import UserSnapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def snapshot(version: int) -> UserSnapshot:
    return UserSnapshot(
        id="alice/é",
        version=version,
        name="Alice",
        custom=MappingProxyType({"a.b": "1", "": "\0"}),
        locale="en",
        photo_url=None,
        role="default",
        welcome_message="hi",
    )


@pytest.fixture
async def heard() -> AsyncIterator[tuple[Bus, asyncio.Queue[UserSnapshot]]]:
    queue: asyncio.Queue[UserSnapshot] = asyncio.Queue()
    bus = Bus("memory://")
    await bus.start(queue.put_nowait)
    yield bus, queue
    await bus.stop()
    assert not bus.connected


async def test_a_published_change_is_heard(heard: tuple[Bus, asyncio.Queue[UserSnapshot]]) -> None:
    bus, queue = heard
    assert bus.connected
    await bus.publish(snapshot(7))
    assert await queue.get() == snapshot(7)
    assert (bus.published, bus.heard, bus.dropped) == (1, 1, 0)


async def test_nonsense_is_dropped_and_counted(heard: tuple[Bus, asyncio.Queue[UserSnapshot]]) -> None:
    bus, queue = heard
    for nonsense in ("", "{", "[]", "null", "{}", '{"version":1}', '{"version":1,"user":{"id":5}}', b"\xff", None):
        await bus._broadcast.publish(CHANNEL, nonsense)
    await bus.publish(snapshot(1))
    assert await queue.get() == snapshot(1)
    assert bus.dropped == 9


async def test_a_listener_that_fails_goes_on_listening(caplog: pytest.LogCaptureFixture) -> None:
    heard: asyncio.Queue[int] = asyncio.Queue()

    def listen(change: UserSnapshot) -> None:
        heard.put_nowait(change.version)
        raise RuntimeError("listener")

    bus = Bus("memory://")
    await bus.start(listen)
    await bus.publish(snapshot(1))
    await bus.publish(snapshot(2))
    assert [await heard.get(), await heard.get()] == [1, 2]
    await bus.stop()
    assert "Taking a change from the bus failed." in caplog.text


async def test_stopping_twice_or_before_the_start_is_fine() -> None:
    bus = Bus("memory://")
    await bus.stop()
    await bus.start(lambda _: None)
    await bus.stop()
    await bus.stop()


def test_a_change_survives_the_wire() -> None:
    assert decode_change(encode_change(snapshot(3))) == snapshot(3)


@pytest.mark.parametrize("version", [0, -1, "1", 1.5, None, True])
def test_a_version_that_is_not_a_positive_integer_is_refused(version: object) -> None:
    value = orjson.loads(encode_change(snapshot(1)))
    value["version"] = version
    with pytest.raises(BusMessageError):
        decode_change(orjson.dumps(value))
