"""Two deployments on one server never hear each other, whatever they are named."""

from __future__ import annotations

import asyncio
import fnmatch
from typing import TYPE_CHECKING

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.changes.test_hub import snapshot
from tests.support.waiting import until
from userline.changes.bus import CHANGES
from userline.changes.channels import (
    BusMessageError,
    ForeignMessageError,
    channel_of,
    check_prefix,
    decode_message,
    encode_message,
)

if TYPE_CHECKING:
    from tests.changes.conftest import Listen, SharedServer
    from tests.support.redis import RedisServer

TRICKY = st.text(st.sampled_from(":%*?[]\\^-~./ ae\N{SNOWMAN}\0\n{}"), max_size=6)
NAMES = st.one_of(TRICKY, st.text(st.characters(), max_size=20))
PARTS = st.tuples(NAMES, NAMES, st.one_of(st.sampled_from(["changes", "presence", "echo-1"]), NAMES))


@given(PARTS, PARTS)
def test_no_two_deployments_share_a_channel(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assume(one != other)
    assert channel_of(*one) != channel_of(*other)


@given(NAMES, NAMES, NAMES)
def test_parts_cannot_be_pushed_from_one_into_another(one: str, two: str, three: str) -> None:
    """The generator above seldom makes two names of the same letters; this one always does."""
    names = {
        channel_of(f"{one}:{two}", three, "changes"),
        channel_of(one, f"{two}:{three}", "changes"),
        channel_of(one, two, f"{three}:changes"),
        channel_of(f"{one}%3A{two}", three, "changes"),
        channel_of(one, f"{two}%3A{three}", "changes"),
    }
    assert len(names) == 5


@given(PARTS)
def test_names_have_nothing_that_redis_takes_for_a_pattern(parts: tuple[str, str, str]) -> None:
    name = channel_of(*parts)
    assert name.isascii()
    assert not set(name) & set("*?[]\\ \n\0")


@given(PARTS, NAMES)
def test_the_rule_of_an_app_lets_nobody_else_in(parts: tuple[str, str, str], app_id: str) -> None:
    prefix, other, topic = parts
    pattern = channel_of(prefix, app_id, "") + "*"
    assert fnmatch.fnmatchcase(channel_of(prefix, other, topic), pattern) is (other == app_id)


def test_names_are_as_the_docs_say_and_none_is_of_the_versions_before() -> None:
    assert channel_of("userline", "shop", "changes") == "userline:shop:changes"
    assert channel_of("live:eu", "a b", "presence") == "live:eu:a%20b:presence"


@pytest.mark.parametrize("prefix", ["userline", "a", "live:eu", "live/eu-1_x.y~z", "x" * 100])
def test_prefixes(prefix: str) -> None:
    check_prefix(prefix)


@pytest.mark.parametrize("prefix", ["", ":", "a:", ":a", "a b", "a*", "a?", "[a]", "a\\", "é", "a\n", "x" * 101, "a%"])
def test_no_prefixes(prefix: str) -> None:
    with pytest.raises(ValueError, match="It must be 1 to 100 letters"):
        check_prefix(prefix)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda values: st.lists(values) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values),
)
APPS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(JSON, APPS, APPS)
def test_messages_are_of_their_app_alone(body: object, app_id: str, other: str) -> None:
    message = encode_message(app_id, body)
    assert decode_message(app_id, message) == body
    assume(app_id != other)
    with pytest.raises(ForeignMessageError) as foreign:
        decode_message(other, message)
    assert str(foreign.value) == app_id


@given(st.binary())
def test_bytes_are_no_message(message: bytes) -> None:
    with pytest.raises((BusMessageError, ForeignMessageError)):
        decode_message("app", message)


@given(JSON)
def test_other_json_is_no_message(value: object) -> None:
    with pytest.raises((BusMessageError, ForeignMessageError)):
        decode_message("app", orjson.dumps(value))


async def test_deployments_on_one_server_hear_themselves_alone(shared: SharedServer, listen: Listen) -> None:
    named = [
        ("shop", "userline", ""),
        ("blog", "userline", ""),
        ("shop", "live", ""),
        ("blog", "live", "/1"),
        ("changes", "userline", "/0"),
        ("0", "userline:changes", ""),
        ("userline", "userline:shop", ""),
    ]
    is_redis = shared.url.startswith("redis")
    long = "x" * 200  # which is cut off where names are short
    named += [(f"{long}{end}", "userline", "") for end in ("1", "2")]
    deployments = [
        [listen(shared.url + (end if is_redis else ""), app_id=app, prefix=prefix) for _ in range(2)]
        for app, prefix, end in named
    ]
    everybody = [listener for deployment in deployments for listener in deployment]
    await asyncio.gather(*(listener.start() for listener in everybody))
    for version in range(1, 51):
        for number, (one, two) in enumerate(deployments):
            (one, two)[version % 2].bus.publish(snapshot(100 * version + number, user_id="alice"))
    for number, deployment in enumerate(deployments):
        for listener in deployment:
            await until(lambda one=listener, last=5000 + number: last in one.versions())  # type: ignore[misc]
    for number, deployment in enumerate(deployments):
        for listener in deployment:
            assert {version % 100 for version in listener.versions()} == {number}
            assert (listener.bus.foreign, listener.bus.nonsense) == (0, 0)


async def test_numbered_databases_part_nothing(server: RedisServer, listen: Listen) -> None:
    """Which is why names do."""
    one, two = listen(server.url + "/1"), listen(server.url + "/2")
    await asyncio.gather(one.start(), two.start())
    one.bus.publish(snapshot(1))
    await two.until_version(1)


async def test_a_message_of_another_app_on_this_ones_channel_is_dropped_and_counted(
    server: RedisServer, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    listener = listen(server.url, app_id="shop")
    await listener.start()
    channel = listener.bus.channel_of(CHANGES)
    change = orjson.loads(encode_message("shop", [{"version": 1, "user": {"id": "a", "name": "A"}}]))["body"]
    others = ["blog", "", "SHOP", "shop ", "shöp", "x" * 1000]
    for other in others:
        server.command("PUBLISH", channel, encode_message(other, change).decode())
    listener.bus.publish(snapshot(7))
    await listener.until_version(7)
    assert listener.versions() == [7]
    assert (listener.bus.foreign, listener.bus.nonsense) == (len(others), 0)
    (said,) = [line for line in caplog.messages if "of another app" in line]
    assert "USERLINE_BUS_PREFIX" in said


async def test_what_the_versions_before_say_is_not_heard(server: RedisServer, listen: Listen) -> None:
    """They had one channel for all, and messages that do not say of which app they are."""
    listener = listen(server.url)
    await listener.start()
    old = '[{"version":1,"user":{"id":"alice","name":"Alice","custom":{},"locale":null}}]'
    server.command("PUBLISH", "userline:changes:0", old)
    server.command("PUBLISH", listener.bus.channel_of(CHANGES), old)
    listener.bus.publish(snapshot(7))
    await listener.until_version(7)
    assert listener.versions() == [7]
    assert (listener.bus.foreign, listener.bus.nonsense) == (0, 1)
