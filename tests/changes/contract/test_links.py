"""What changes/protocol.py promises of a link, for every backend."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.changes.contract.conftest import hear

if TYPE_CHECKING:
    from tests.changes.contract.conftest import Ground
    from userline.changes.protocol import Link

SIZES = [0, 1, 5_899, 5_900, 5_901, 7_999, 8_000, 8_001, 11_800, 65_536, 1_000_000, 5_000_000]


async def test_every_link_that_listens_to_a_channel_hears_what_is_published_there(ground: Ground) -> None:
    links = [await ground.join("a:b:c") for _ in range(5)]
    for number, publisher in enumerate(links):
        await publisher.publish("a:b:c", b"%d" % number)
        for link in links:
            assert await hear(link, 1) == [("a:b:c", b"%d" % number)]


async def test_other_channels_are_not_heard(ground: Ground) -> None:
    one, other = await ground.join("a:b:one"), await ground.join("a:b:other")
    for channel in ("a:b:on", "a:b:onee", "A:B:ONE", "a:b:*", "a:b:", "a:b:other"):
        await other.publish(channel, b"not for one")
    await other.publish("a:b:one", b"for one")
    assert await hear(one, 1) == [("a:b:one", b"for one")]
    assert await one.hear(0.05) is None
    assert await hear(other, 1) == [("a:b:other", b"not for one")]


@pytest.mark.parametrize(
    "name", ["changes", "it's", 'a"b', "semi;colon", "ünï:çode:☃", "a b", "x" * 63, "x" * 64, "%41"]
)
async def test_channels_of_any_name(ground: Ground, name: str) -> None:
    link = await ground.join(name)
    await link.publish(name, b"hello")
    assert await hear(link, 1) == [(name, b"hello")]


async def test_hundreds_of_channels_with_long_names_are_kept_apart(ground: Ground) -> None:
    names = [f"prefix:{'x' * 240}:{number}" for number in range(100)] + [f"p:a:{number}" for number in range(100)]
    listener, publisher = await ground.join(*names), await ground.join("p:a:none")
    for number, name in enumerate(names):
        await publisher.publish(name, b"%d" % number)
    assert await hear(listener, 200) == [(name, b"%d" % number) for number, name in enumerate(names)]


async def test_messages_are_whole_whatever_their_size_and_their_bytes(ground: Ground) -> None:
    chance = random.Random(7)
    messages = [chance.randbytes(size) for size in SIZES]
    messages += [bytes(range(256)), b"\0" * 9000, b"\xff" * 9000, "☃".encode() * 9000, b"1.0.1:aGk=", b"\\\\'\"" * 3000]
    publisher, listener = await ground.join("a:b:c"), await ground.join("a:b:c")
    for message in messages:
        await publisher.publish("a:b:c", message)
        assert await hear(listener, 1) == [("a:b:c", message)], len(message)


async def test_each_publisher_is_heard_in_its_order_with_nothing_missing_or_twice(ground: Ground) -> None:
    """Large messages among them, which others must not come between."""
    listener = await ground.join("a:b:one", "a:b:two")
    publishers = [await ground.join("a:b:none") for _ in range(4)]

    async def publish(link: Link, number: int) -> None:
        for turn in range(50):
            large = b"x" * (30_000 if turn % 10 == number else 0)
            await link.publish(("a:b:one", "a:b:two")[turn % 2], b"%d %d " % (number, turn) + large)

    publishing = asyncio.gather(*(publish(link, number) for number, link in enumerate(publishers)))
    heard = await hear(listener, 200)
    await publishing
    for number in range(4):
        for parity, channel in enumerate(("a:b:one", "a:b:two")):
            turns = [int(text.split()[1]) for at, text in heard if at == channel and int(text.split()[0]) == number]
            assert turns == list(range(parity, 50, 2))
    assert await listener.hear(0.05) is None


async def test_nothing_is_heard_from_before_the_link_was_joined(ground: Ground) -> None:
    publisher = await ground.join("a:b:c")
    for turn in range(20):
        await publisher.publish("a:b:c", b"before %d" % turn)
        late = await ground.join("a:b:c")
        await publisher.publish("a:b:c", b"after %d" % turn)
        assert await hear(late, 1) == [("a:b:c", b"after %d" % turn)]


async def test_waiting_ends_when_it_should_and_loses_nothing(ground: Ground) -> None:
    link, publisher = await ground.join("a:b:c"), await ground.join("a:b:c")
    started = time.monotonic()
    assert await link.hear(0.1) is None
    assert time.monotonic() - started < 1
    for number in range(100):
        await publisher.publish("a:b:c", b"%d" % number)
    heard: list[bytes] = []
    while len(heard) < 100:
        message = await link.hear(random.choice([0.0, 0.001, 0.01]))
        if message is not None:
            heard.append(message.message)
        assert time.monotonic() - started < 20
    assert heard == [b"%d" % number for number in range(100)]


async def test_closing_leaves_nothing_behind(ground: Ground) -> None:
    warm = await ground.join("a:b:c")
    await warm.publish("a:b:c", b"x" * 20_000)

    def held() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())

    await asyncio.sleep(0.1)
    before = held()
    for _ in range(30):
        link = await ground.join("a:b:c", as_another_gateway=False)
        await link.publish("a:b:c", b"x" * 20_000)
        await link.close()
        await link.close()
    for _ in range(100):
        if held() == before:
            break
        await asyncio.sleep(0.05)
    assert held() == before


async def test_a_link_that_is_closed_cancels_nobody(ground: Ground) -> None:
    """Who listens or publishes would end without a word."""
    link = await ground.join("a:b:c")
    await link.close()
    for _ in range(2):
        with suppress(Exception):
            assert await link.hear(0.01) is None
        with suppress(Exception):
            await link.publish("a:b:c", b"x")


async def test_what_is_known_of_the_server(ground: Ground) -> None:
    facts = await (await ground.join("a:b:c")).facts()
    assert facts.server.split()[0] in {"This", "Redis", "Valkey", "PostgreSQL"}
    assert facts.remarks == ()
    assert facts.seconds_ahead is None or abs(facts.seconds_ahead) < 1


async def test_a_link_that_is_cut_off_says_so_and_nothing_more(shared_ground: Ground) -> None:
    ground = shared_ground
    link, publisher = await ground.join("a:b:c"), await ground.join("a:b:c")
    await publisher.publish("a:b:c", b"before")
    assert await hear(link, 1) == [("a:b:c", b"before")]
    ground.server.kill_listeners()
    with pytest.raises(Exception) as failure:  # noqa: PT011 - whatever it is, the backend explains it
        await hear(link, 1)
    said = ground.explain(failure.value)
    assert 20 < len(said) < 600
    assert "does not speak the protocol of" not in said


async def test_a_publication_that_the_server_does_not_take_is_refused(shared_ground: Ground) -> None:
    ground = shared_ground
    link = await ground.join("a:b:c")
    ground.server.kill()
    with pytest.raises(Exception) as failure:  # noqa: PT011 - as above
        await link.publish("a:b:c", b"x")
    assert "does not speak the protocol of" not in ground.explain(failure.value)
    ground.server.start()
    again = await ground.join("a:b:c")
    await again.publish("a:b:c", b"y")
    assert await hear(again, 1) == [("a:b:c", b"y")]


async def test_joining_what_is_away_or_frozen_fails_in_time_and_leaves_nothing_open(shared_ground: Ground) -> None:
    ground = shared_ground
    link = await ground.join("a:b:c")
    ground.server.freeze()
    before = len(list(Path("/proc/self/fd").iterdir()))
    started = time.monotonic()
    with pytest.raises(Exception):  # noqa: B017, PT011 - as above
        async with asyncio.timeout(5):
            await ground.join("a:b:c")
    await link.close()
    assert time.monotonic() - started < 8
    ground.server.thaw()
    ground.server.kill()
    with pytest.raises(Exception):  # noqa: B017, PT011 - as above
        await ground.join("a:b:c")
    await asyncio.sleep(0.1)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    ground.server.start()
