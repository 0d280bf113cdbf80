"""References and snapshots: lines 1 to 3."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.world import World


@case(1)
async def one_reference_for_one_id_and_making_one_sends_nothing(world: World) -> None:
    session = await world.open()
    first, again, other = [await session.ask("user", user=user) for user in ("a", "a", "b")]
    assert first["id"] == "a"
    assert first["object"] == again["object"] != other["object"]
    assert (await session.ask("users", users=["b", "a", "b"]))["ids"] == ["b", "a", "b"]
    await world.settle()
    await asyncio.sleep(0.02)
    assert world.gateway.connections == []


BAD_IDS: tuple[Any, ...] = ("", "x" * 256, "🙂" * 256, "a\0b", "\ud800", "a\udc00b", 5, None, {}, ["a"], True)


@case(2)
async def ids_that_no_user_can_have_are_refused_at_once(world: World) -> None:
    session = await world.open()
    for bad in BAD_IDS:
        await world.fails(session.start("user", user=bad), "INVALID_INPUT")
        await world.fails(session.start("users", users=["fine", bad]), "INVALID_INPUT")
    assert world.gateway.connections == []


@case(2)
async def any_other_id_is_fine(world: World) -> None:
    ids = ["x" * 255, "🙂" * 255, "a/b", "$", ".", " ", '"\\\u2028', "__proto__", "constructor", "\x01", "0"]
    for user_id in ids:
        world.gateway.put(user_id)
    session = await world.open()
    for user_id in ids:
        assert (await session.ask("user", user=user_id))["id"] == user_id
        assert await session.name_of(user_id) == user_id


@case(3)
async def snapshots_cannot_be_changed_and_can_be_copied(world: World) -> None:
    user = world.gateway.put("a", custom={"team": "blue"}, locale="nl", effectiveLocale="nl", welcomeMessage="Hi")
    session = await world.open()
    shown = await session.ask("get", user="a")
    assert shown["user"] == user
    assert await world.ask("tamper", object=shown["object"]) == []
    for copied in await world.ask("copy", object=shown["object"]):
        assert copied == user
    assert (await session.ask("get", user="a")) == shown
    many = await session.subscribe_many(["a", "b"])
    await many.connected()
    assert await world.ask("tamper", object=many.shown[0]["object"]) == []


@case(3, 25)
async def the_same_object_while_nothing_else_than_the_version_changes(world: World) -> None:
    before = world.gateway.put("a", custom={"x": "1"})
    session = await world.open()
    subscription = await session.subscribe("a")
    first = await session.ask("get", user="a")
    await subscription.connected()
    world.gateway.set("a")  # what only servers see has changed
    await world.settle()
    again = await session.ask("get", user="a")
    assert again == first == subscription.shown[0]
    assert again["user"]["version"] == before["version"], "that at which it was seen first"
    world.gateway.set("a", name="other")
    await world.settle()
    other = await session.ask("get", user="a")
    assert other["object"] != first["object"]
    assert subscription.names == ["a", "other"]


CHANGES: tuple[dict[str, Any], ...] = (
    {"name": "A"},
    {"custom": {"x": "1"}},
    {"custom": {"x": "2"}},
    {"custom": {"y": "2"}},
    {"custom": {}},
    {"custom": {"toString": "x"}},
    {"locale": "nl"},
    {"effectiveLocale": "nl"},
    {"photoUrl": "https://x/"},
    {"role": "admin"},
    {"welcomeMessage": "Hi"},
    {"welcomeMessage": None},
)


@case(3, 25)
async def each_field_counts_and_each_key_of_custom(world: World) -> None:
    world.gateway.put("a")
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.settle()
    for number, change in enumerate(CHANGES):
        for _ in range(2):
            before = {name: value for name, value in world.gateway.users["a"].items() if name not in {"id", "version"}}
            world.gateway.put("a", **{**before, **change})
            world.gateway.changed(["a"])
        await world.settle()
        assert len(subscription.shown) == number + 2, f"{change}: {subscription.shown}"
        expected = {**world.gateway.users["a"], "version": subscription.users[-1]["version"]}
        assert subscription.users[-1] == expected


@case(3, 12)
async def versions_are_compared_as_numbers(world: World) -> None:
    world.gateway.put("a", version="9")
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.settle()
    for version in ("10", "8", "11", "9", "12345678901234567890", "12345678901234567889"):
        world.gateway.put("a", name=f"v{version}", version=version)
        world.gateway.changed(["a"])
    await world.settle()
    assert [user["version"] for user in subscription.users] == ["9", "10", "11", "12345678901234567890"]
