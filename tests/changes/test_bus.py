"""The bus: what goes in comes out at every listener, and nonsense harms nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from userline.changes.bus import CHANGES, Bus
from userline.changes.channels import BusMessageError, decode_message, encode_message
from userline.changes.factory import check_bus_url
from userline.changes.messages import MOST_BYTES_A_MESSAGE, Found, Told, decode_change, encode_changes
from userline.users.codec import is_whole_snapshot, snapshot_from_json
from userline.users.record import Deletion, UserSnapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def snapshot(version: int, user_id: str = "alice/é") -> UserSnapshot:
    return UserSnapshot(
        id=user_id,
        version=version,
        name="Alice",
        custom=MappingProxyType({"a.b": "1", "": "\0"}),
        locale="en",
        photo_url=None,
        role="default",
        welcome_message="hi",
    )


@pytest.fixture
async def heard() -> AsyncIterator[tuple[Bus, asyncio.Queue[Any]]]:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    bus = Bus("memory://")
    await bus.start(queue.put_nowait)
    yield bus, queue
    await bus.stop()
    assert not bus.connected


async def test_a_published_change_is_heard(heard: tuple[Bus, asyncio.Queue[Any]]) -> None:
    bus, queue = heard
    assert bus.connected
    bus.publish(snapshot(7))
    assert await queue.get() == snapshot(7)
    assert (bus.published, bus.heard, bus.dropped) == (1, 1, 0)


async def test_changes_that_come_faster_than_they_are_sent_share_messages(
    heard: tuple[Bus, asyncio.Queue[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, queue = heard
    messages: list[bytes] = []
    publish = bus._broadcast.publish

    async def count(channel: str, message: bytes) -> None:
        messages.append(message)
        await publish(channel, message)

    monkeypatch.setattr(bus._broadcast, "publish", count)
    for number in range(250):
        bus.publish(snapshot(1, f"user {number}"))
    assert [(await queue.get()).id for _ in range(250)] == [f"user {number}" for number in range(250)]
    assert len(messages) == 3


async def test_large_changes_share_messages_of_a_megabyte_at_the_most(
    heard: tuple[Bus, asyncio.Queue[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, queue = heard
    messages: list[bytes] = []
    publish = bus._broadcast.publish

    async def count(channel: str, message: bytes) -> None:
        messages.append(message)
        await publish(channel, message)

    monkeypatch.setattr(bus._broadcast, "publish", count)
    sizes = [60_000] * 40 + [3_000_000] + [10] * 30 + [600_000] * 3
    for number, size in enumerate(sizes):
        bus.publish(replace(snapshot(1, f"user {number}"), name="x" * size))
    heard_now = [await queue.get() for _ in sizes]
    assert [item.id for item in heard_now] == [f"user {number}" for number in range(len(sizes))]
    assert [len(item.name) for item in heard_now] == sizes
    large = [len(message) for message in messages if len(message) > MOST_BYTES_A_MESSAGE]
    assert len(large) == 1, "the change that is larger by itself"
    assert 5 <= len(messages) < 20
    assert (bus.published, bus.dropped, bus.waiting) == (len(sizes), 0, 0)


async def test_of_changes_that_wait_the_newest_of_each_user_is_sent(
    heard: tuple[Bus, asyncio.Queue[Any]],
) -> None:
    bus, queue = heard
    for version in (1, 3, 2):
        bus.publish(snapshot(version))
    bus.publish(snapshot(1, "other"))
    assert [(item.id, item.version) for item in (await queue.get(), await queue.get())] == [
        ("alice/é", 3),
        ("other", 1),
    ]


async def test_what_cannot_be_sent_waits_until_it_can(
    heard: tuple[Bus, asyncio.Queue[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, queue = heard

    async def fail(*_: object) -> None:
        raise ConnectionError("down")

    with monkeypatch.context() as broken:
        broken.setattr(bus._broadcast, "publish", fail)
        bus.publish(snapshot(1))
        bus.publish(snapshot(1, "other"))
        while bus.publish_failures < 2:
            await asyncio.sleep(0.01)
        bus.publish(snapshot(2))
        assert bus.waiting <= 2
    assert {(item.id, item.version) for item in (await queue.get(), await queue.get())} == {
        ("alice/é", 2),
        ("other", 1),
    }
    assert (bus.published, bus.dropped) == (2, 0)


async def test_nonsense_is_dropped_and_counted(heard: tuple[Bus, asyncio.Queue[Any]]) -> None:
    bus, queue = heard
    for nonsense in (
        "",
        "{",
        "5",
        "null",
        "{}",
        "[5]",
        '{"app":"userline"}',
        '{"app":5,"body":[]}',
        '{"app":"userline","body":{}}',
        '{"app":"userline","body":[5]}',
        '{"app":"userline","body":[{"version":1}]}',
        '{"app":"userline","body":[{"version":1,"user":{"id":5}}]}',
        b"\xff",
        None,
    ):
        await bus._broadcast.publish(bus.channel_of(CHANGES), nonsense)
    bus.publish(snapshot(1))
    assert await queue.get() == snapshot(1)
    assert (bus.nonsense, bus.foreign) == (14, 0)


async def test_a_listener_that_fails_goes_on_listening(caplog: pytest.LogCaptureFixture) -> None:
    heard: asyncio.Queue[int] = asyncio.Queue()

    def listen(change: Any) -> None:
        heard.put_nowait(change.version)
        raise RuntimeError("listener")

    bus = Bus("memory://")
    await bus.start(listen)
    bus.publish(snapshot(1))
    await asyncio.sleep(0.01)
    bus.publish(snapshot(2))
    assert [await heard.get(), await heard.get()] == [1, 2]
    await bus.stop()
    assert "Processing a change from the bus failed." in caplog.text


async def test_stopping_twice_or_before_the_start_is_fine() -> None:
    bus = Bus("memory://")
    await bus.stop()
    await bus.start(lambda _: None)
    await bus.stop()
    await bus.stop()


def test_changes_survive_the_wire() -> None:
    sent: list[Told] = [snapshot(3), snapshot(1, "other"), Found(snapshot(2)), Deletion("alice", 4)]
    changes = decode_message("app", encode_message("app", encode_changes(sent)))
    assert isinstance(changes, list)
    assert [decode_change(change) for change in changes] == sent


@pytest.mark.parametrize("version", [0, -1, "1", 1.5, None, True])
def test_a_version_that_is_not_a_positive_integer_is_refused(version: object) -> None:
    (value,) = orjson.loads(orjson.dumps(encode_changes([snapshot(1)])))
    with pytest.raises(BusMessageError):
        decode_change(value | {"version": version})


@pytest.mark.parametrize(
    "url",
    [
        "memory://",
        "redis://127.0.0.1",
        "redis://:p%40ss@redis.example.com:6379/3?protocol=3",
        "rediss://user:pass@redis.example.com?ssl_cert_reqs=none",
    ],
)
def test_urls_of_buses(url: str) -> None:
    check_bus_url(url)


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("kafka://localhost", "The bus is memory://"),
        ("redis://", "has no host"),
        ("redis://:hunter2@localhost:port", "is not a valid URL"),
        ("redis://:hunter2@localhost?socket_timeout=5", "has an option that is not known"),
        ("redis://:hunter2@localhost?sokcet", "has an option that is not known"),
        ("redis://:hunter2@localhost?ssl_cert_reqs=none", "has an option that is not known, or with a value"),
        (
            "rediss://:hunter2@localhost?ssl_cert_reqs=hunter2",
            "has an option that is not known, or with a value",
        ),
        ("redis://:hunter2@localhost?db=one", "has an option that is not known, or with a value"),
    ],
)
def test_urls_of_no_bus(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        check_bus_url(url)
    assert "hunter2" not in str(refused.value)


async def test_what_a_userline_tells_that_knows_fewer_fields_is_heard_in_part() -> None:
    whole: asyncio.Queue[Any] = asyncio.Queue()
    part: asyncio.Queue[Any] = asyncio.Queue()
    bus = Bus("memory://")
    await bus.start(whole.put_nowait, hear_in_part=part.put_nowait)
    (change,) = encode_changes([snapshot(7)])
    assert isinstance(change, dict)
    fewer = {name: value for name, value in change["user"].items() if name != "welcomeMessage"}
    more = change["user"] | {"mood": ["good"]}
    body = [change | {"user": user} for user in (fewer, more)]
    await bus._broadcast.publish(bus.channel_of(CHANGES), encode_message("userline", body))
    assert await whole.get() == snapshot(7)
    assert await part.get() == replace(snapshot(7), welcome_message=None)
    assert (bus.heard, bus.nonsense) == (2, 0)
    await bus.stop()


async def test_what_was_found_of_a_user_is_heard_apart_where_somebody_wants_that() -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()
    found: asyncio.Queue[Any] = asyncio.Queue()
    bus = Bus("memory://")
    await bus.start(heard.put_nowait, hear_found=found.put_nowait)
    bus.publish(Found(snapshot(1)))
    assert await found.get() == snapshot(1)
    bus.publish(snapshot(2))
    assert await heard.get() == snapshot(2)
    assert found.empty()
    await bus.stop()


def test_a_deletion_is_told_so_that_a_gateway_that_knows_of_none_reads_the_user() -> None:
    deletion = Deletion("alice", 7)
    (told,) = orjson.loads(orjson.dumps(encode_changes([deletion])))
    assert decode_change(told) == deletion
    # What the versions before this one do: they take it for a change that they were not told all of.
    assert snapshot_from_json(told["user"], told["version"]).id == "alice"
    assert not is_whole_snapshot(told["user"])
