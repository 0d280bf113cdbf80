"""How operations are made up, and when they are made anew: lines 6 to 10."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clients.conformance.beginnings import numbered, sizes
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.world import World


# How operations are made up


@case(6, 7, each=((1001, None), (2500, {"messageBytes": 1_048_576})))
async def an_operation_has_at_most_1000_ids(world: World, given: tuple[int, Any]) -> None:
    count, world.gateway.limits = given
    session = await world.open()
    await world.until(lambda: True)
    everybody = await session.subscribe_many(numbered(count))
    await everybody.connected()
    assert [user for ids in world.gateway.watched for user in ids] == numbered(count)
    assert sizes(world) == [1000] * (count // 1000) + [count % 1000]
    assert len(world.gateway.live) == 1


LETTERS = ("x", "é", "🙂", '"', "\x01")


@case(6, each=tuple((letter, size) for letter in LETTERS for size in (8_000, 65_536)))
async def an_operation_fits_into_a_message(world: World, given: tuple[str, int]) -> None:
    letter, size = given
    world.gateway.limits = {"messageBytes": size} if size != 65_536 else None
    session = await world.open()
    ids = [f"{number:04}" + letter * 251 for number in range(size // 240)]
    everybody = await session.subscribe_many(ids)
    await everybody.connected()
    for message in world.gateway.subscribed:
        assert len(json.dumps(message, ensure_ascii=False).encode()) < size
    assert [user for asked in world.gateway.watched for user in asked] == ids
    assert len(world.gateway.watched) > 1


@case(7)
async def what_one_socket_may_not_carry_goes_to_another_one(world: World) -> None:
    world.gateway.limits = {"messageBytes": 1_000_000, "subscriptions": 1000, "watchedUsers": 150}
    session = await world.open()
    subscriptions = await session.subscribe_all(numbered(400))
    await world.until(lambda: sum(sizes(world)) >= 400)
    for subscription in subscriptions[::50]:
        await subscription.connected()
    assert len(world.gateway.live) == 3
    for end in world.gateway.live:
        assert sum(len(ids) for ids in end.operations.values()) <= 150
    assert sorted(user for ids in world.gateway.watched for user in ids) == sorted(numbered(400))


@case(7, 26)
async def without_a_word_a_socket_has_5000_users(world: World) -> None:
    world.gateway.limits = None
    session = await world.open()
    everybody = await session.subscribe_many(numbered(6_000))
    await everybody.connected()
    assert len(world.gateway.live) == 2
    assert sizes(world) == [1000] * 6
    assert {sum(len(ids) for ids in end.operations.values()) for end in world.gateway.live} == {5000, 1000}


@case(7)
async def a_socket_has_no_more_subscriptions_than_it_may(world: World) -> None:
    world.gateway.limits = {"messageBytes": 1_000_000, "subscriptions": 2, "watchedUsers": 100_000}
    session = await world.open()
    everybody = await session.subscribe_many(numbered(4500))
    await everybody.connected()
    assert len(world.gateway.live) == 3
    assert all(len(end.operations) <= 2 for end in world.gateway.live)
    assert sorted(sizes(world)) == [500, *[1000] * 4]


@case(7, 35, needs="clock")
async def limits_that_shrink_while_away_send_the_surplus_elsewhere(world: World) -> None:
    session = await world.open()
    subscriptions = await session.subscribe_all(numbered(120))
    await subscriptions[-1].connected()
    world.gateway.limits = {"messageBytes": 1_000_000, "subscriptions": 1000, "watchedUsers": 100}
    world.gateway.cut()
    await world.settle()
    subscriptions += await session.subscribe_all(["u0", "u119"])
    await world.advance_until(lambda: sum(sizes(world)) == 240, 3)
    await world.settle()
    assert sorted(sizes(world)) == [20, 100, 120]
    assert len(world.gateway.live) == 2
    assert await world.types(subscriptions) == ["active"] * 122


@case(7, needs="clock", each=(None, {}, {"watchedUsers": 7000}))
async def what_the_next_gateway_does_not_say_is_not_what_the_last_one_said(world: World, limits: Any) -> None:
    world.gateway.limits = {"messageBytes": 1000, "subscriptions": 2, "watchedUsers": 3}
    session = await world.open()
    subscription = await session.subscribe("a")
    await subscription.connected()
    world.gateway.limits = limits
    world.gateway.cut()
    await world.advance(0.6)
    await session.set("a", name="x" * 60_000)
    await session.subscribe_all(numbered(100))
    await world.settle()
    assert len(world.gateway.live) == 1


@case(7, needs="clock")
async def another_socket_is_closed_when_it_is_empty(world: World) -> None:
    world.gateway.limits = {"messageBytes": 1_000_000, "subscriptions": 1000, "watchedUsers": 10}
    session = await world.open()
    subscriptions = await session.subscribe_all(numbered(20))
    await world.until(lambda: sum(sizes(world)) >= 20)
    assert len(world.gateway.live) == 2
    second = set(world.gateway.sockets[1].operations.copy().popitem()[1])
    for number, subscription in enumerate(subscriptions):
        if f"u{number}" in second:
            await subscription.unsubscribe()
    await world.advance(65)
    assert len(world.gateway.live) == 1


@case(7, 29)
async def more_than_32_sockets_carry_is_refused_at_once(world: World) -> None:
    world.gateway.limits = {"messageBytes": 1_000_000, "subscriptions": 1000, "watchedUsers": 10}
    session = await world.open()
    await (await session.subscribe("first")).connected()
    subscriptions = await session.subscribe_all(numbered(330))
    await world.until(lambda: sum(sizes(world)) >= 320)
    await world.settle()
    assert len(world.gateway.live) == 32
    types = await world.types(subscriptions)
    assert (types.count("active"), types.count("error")) == (319, 11)
    refused = subscriptions[types.index("error")]
    assert (await refused.error())["code"] == "TOO_MANY_WATCHES"
    await world.fails(session.get("one more"), "TOO_MANY_WATCHES")
    for end in world.gateway.live:
        assert sum(len(ids) for ids in end.operations.values()) <= 10


# What nobody wants


@case(8, needs="clock")
async def an_unwanted_watch_is_kept_up_to_date_and_wanted_again_without_a_request(world: World) -> None:
    session = await world.open()
    subscriptions = await session.subscribe_all(["a", "b", "c"])
    await subscriptions[2].connected()
    await subscriptions[0].unsubscribe()
    await world.advance(31)
    world.gateway.set("a", name="Ann")
    await world.settle()
    assert await session.name_of("a") == "Ann"
    again = await session.subscribe("a")
    await again.connected()
    assert again.names == ["Ann"]
    assert len(world.gateway.subscribed) == 1
    assert world.gateway.socket.completed == []


@case(8, needs="clock")
async def an_operation_that_nobody_wants_is_ended(world: World) -> None:
    session = await world.open(idle=3_600_000)
    subscriptions = await session.subscribe_all(numbered(200))
    await subscriptions[-1].connected()
    for subscription in subscriptions:
        await subscription.unsubscribe()
    await world.advance(29.5)
    assert world.gateway.socket.completed == [], "it lingers"
    await world.advance(1)
    assert world.gateway.socket.types == ["connection_init", "subscribe", "complete"]


@case(8, 10, needs="clock")
async def with_fewer_than_half_wanted_those_are_watched_by_a_new_operation(world: World) -> None:
    session = await world.open()
    for user_id in numbered(10):
        world.gateway.put(user_id)
    subscriptions = await session.subscribe_all(numbered(10))
    await subscriptions[-1].connected()
    for subscription in subscriptions[5:]:
        await subscription.unsubscribe()
    await world.advance(31)
    assert len(world.gateway.subscribed) == 1, "half of them are wanted"
    held: list[str] = []
    world.gateway.answer_by(lambda _, operation: held.append(operation))
    await subscriptions[4].unsubscribe()
    await world.advance(31)
    end, (old, new) = world.gateway.socket, world.gateway.subscribed
    assert end.types == ["connection_init", "subscribe", "complete", "subscribe"], "the old one is ended before"
    assert end.completed == [old["id"]]
    assert world.gateway.watched[1] == numbered(4)
    getting = session.start("get", user="u0")
    end.next(old["id"], {"usersChanged": [{"id": "u0", "user": world.gateway.put("u0", name="from the old one")}]})
    await world.settle()
    assert not getting.done(), "it waits for the first event of the new operation"
    assert await world.types(subscriptions[:4]) == ["active"] * 4
    assert [len(each.shown) for each in subscriptions[:4]] == [1] * 4
    world.gateway.hook = None
    world.gateway.put("u0", name="Now")
    world.gateway.run(end, new["id"], new["payload"])
    assert (await getting)["user"]["name"] == "Now"
    assert subscriptions[0].names == ["u0", "Now"]
    assert [len(each.shown) for each in subscriptions[1:4]] == [1] * 3, "nothing has changed"


@case(8)
async def nothing_is_asked_twice_by_who_subscribes_twice(world: World) -> None:
    session = await world.open()
    for online in (False, True):
        await (await session.subscribe("a", online=online)).unsubscribe()
        await session.subscribe("a", online=online)
    await world.settle()
    assert len(world.gateway.subscribed) == 2
    assert world.gateway.socket.completed == []


@case(8, 9, needs="clock")
async def a_list_that_scrolls_neither_leaks_nor_asks_for_everybody_again(world: World) -> None:
    """300 rows; eight leave, and eight others come, every two seconds for 100 seconds."""
    session = await world.open()
    rows = await session.subscribe_all(numbered(300))
    await rows[-1].connected()
    for step in range(50):
        for row in rows[:8]:
            world.start("unsubscribe", subscription=row.name)
        rows = rows[8:] + await session.subscribe_all(numbered(8, start=300 + 8 * step))
        await world.advance(2)
        watched = sum(len(ids) for ids in world.gateway.socket.operations.values())
        assert watched <= 2 * (300 + 8 * 16) + 16, "users are watched whom nobody wants"
        assert len(world.gateway.socket.operations) <= 70
    assert sum(sizes(world)) < 300 + 400 * 6, "everybody is asked for again and again"
    assert await world.types(rows) == ["active"] * 300


@case(9)
async def many_small_operations_are_put_together(world: World) -> None:
    session = await world.open()
    subscriptions = []
    for user_id in numbered(200):
        subscriptions.append(await session.subscribe(user_id))
        await subscriptions[-1].connected()
        assert len(world.gateway.socket.operations) <= 65
    await world.settle()
    operations = list(world.gateway.socket.operations.values())
    assert sorted(user for ids in operations for user in ids) == sorted(numbered(200))
    assert len(world.gateway.connections) == 1
    assert [len(each.shown) for each in subscriptions] == [1] * 200


@case(9)
async def so_are_those_of_more_than_half_of_what_a_socket_may_have(world: World) -> None:
    world.gateway.limits = {"messageBytes": 1_000_000, "subscriptions": 8, "watchedUsers": 5000}
    session = await world.open()
    for user_id in numbered(20):
        await (await session.subscribe(user_id)).connected()
        assert len(world.gateway.socket.operations) <= 5
    assert len(world.gateway.connections) == 1


@case(9, needs="clock")
async def users_whom_nobody_wants_make_room_without_another_socket(world: World) -> None:
    world.gateway.limits = {"messageBytes": 1_000_000, "subscriptions": 1000, "watchedUsers": 10}
    session = await world.open()
    first = await session.subscribe_all(numbered(10))
    await first[-1].connected()
    for subscription in first[:4]:
        await subscription.unsubscribe()
    await world.advance(31)
    assert len(world.gateway.subscribed) == 1
    await session.ask("getMany", users=["x", "y", "z"])
    await world.settle()
    assert len(world.gateway.connections) == 1
    assert sorted(world.gateway.watched[-1]) == [*numbered(6, start=4), "x", "y", "z"]
    assert [len(each.shown) for each in first] == [1] * 10
