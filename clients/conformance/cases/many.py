"""Many users at once, and who is connected: lines 26 and 27."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clients.conformance.gateway import refusal
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.gateway import End, Message
    from clients.conformance.world import World


@case(26)
async def many_users_are_one_subscription_shown_once_a_turn(world: World) -> None:
    for user_id in "abc":
        world.gateway.put(user_id)
    session = await world.open()
    many = await session.subscribe_many(["c", "a", "nobody", "a"])
    await many.connected()

    def names() -> list[list[tuple[str, str | None]]]:
        return [[(user_id, user and user["user"]["name"]) for user_id, user in each["users"]] for each in many.shown]

    assert names() == [[("c", "c"), ("a", "a"), ("nobody", None)]]
    a, c = world.gateway.put("a", name="A"), world.gateway.put("c", name="C")
    world.gateway.changed(["a", "c"])
    world.gateway.set("b", name="B")
    await world.settle()
    assert names()[1:] == [[("c", "C"), ("a", "A"), ("nobody", None)]]
    # What comes back in the same turn to what it was is not shown.
    entries = [{"id": "a", "user": world.gateway.put("a", name=name)} for name in ("x", "A")]
    operation = world.gateway.subscribed[0]["id"]
    world.gateway.socket.next(operation, {"usersChanged": entries})
    await world.settle()
    assert len(many.shown) == 2
    got = await session.ask("getMany", users=["a", "c", "nobody", "a"])
    assert [each and each["user"]["name"] for each in got] == ["A", "C", None, "A"]
    assert (a["name"], c["name"], len(world.gateway.subscribed)) == ("A", "C", 1)
    await many.unsubscribe()
    assert await many.terminated() == {"type": "unsubscribed"}
    world.gateway.set("a", name="later")
    await world.settle()
    assert len(many.shown) == 2


@case(26)
async def it_is_active_when_all_are_known(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    many = await session.subscribe_many(["a", "b"])
    await world.until(lambda: world.gateway.subscribed)
    operation = world.gateway.subscribed[0]["id"]
    for user_id, type_now in (("b", "pending"), ("a", "active")):
        world.gateway.socket.next(operation, {"usersChanged": [{"id": user_id, "user": None}]})
        await world.settle()
        assert await many.type() == type_now


@case(26)
async def none_and_any_number_of_ids_will_do(world: World) -> None:
    session = await world.open()
    none = await session.subscribe_many([])
    await none.connected()
    assert none.shown[0]["users"] == []
    assert await session.ask("getMany", users=[]) == []
    ids = [f"u{number}" for number in range(4000)]
    many = await session.subscribe_many([*ids, *ids[:100]])
    await many.connected()
    assert [user_id for user_id, _ in many.shown[0]["users"]] == ids
    assert len(await session.ask("getMany", users=[*ids, *ids[:100]])) == 4100
    assert len(many.shown) == 1
    await many.unsubscribe()
    assert await many.type() == "unsubscribed"
    refused = await session.subscribe_many([*ids, "refused"])
    await refused.connected()
    operation = next(
        each["id"] for each in world.gateway.subscribed if "refused" in each["payload"]["variables"]["ids"]
    )
    world.gateway.socket.refuse(operation, "FORBIDDEN")
    assert (await refused.terminated())["error"]["code"] == "FORBIDDEN"


@case(26, 11)
async def many_end_as_error_if_one_of_them_does(world: World) -> None:
    def hook(end: End, message: Message) -> bool:
        if message["type"] != "subscribe":
            return False
        entries = [{"id": user_id, "user": None} for user_id in message["payload"]["variables"]["ids"]]
        errors = [{**refusal("FORBIDDEN"), "path": ["usersChanged", 1, "user"]}]
        end.next(message["id"], {"usersChanged": entries}, errors)
        return True

    world.gateway.hook = hook
    session = await world.open()
    commands = []
    single, many = world.new_subscription(), world.new_subscription()
    commands.append(world.command("subscribe", session=session.name, subscription=single.name, user="a"))
    commands.append(world.command("subscribe", session=session.name, subscription=many.name, users=["a", "b"]))
    await asyncio.gather(*world.together(commands))
    assert (await many.terminated())["error"]["code"] == "FORBIDDEN"
    await world.fails(many.connected(), "FORBIDDEN")
    assert await single.type() == "active"


# Who is connected


@case(27, needs="clock")
async def who_is_connected_behaves_as_any_subscription(world: World) -> None:
    world.gateway.put("a", name="A")
    session = await world.open()
    first, second = await session.subscribe_all(["a", "a"], online=True)
    connected = await second.connected()
    assert connected["latestSnapshot"]["isConnected"] is False
    assert len(world.gateway.subscribed) == 1, "equal ones share one"
    for is_connected in (True, True):
        world.gateway.set_online("a", is_connected=is_connected)
    world.gateway.set("a", name="B")
    await world.settle()
    seen = [(each["user"]["user"]["name"], each["isConnected"]) for each in first.shown]
    assert seen == [("A", False), ("A", True), ("B", True)]
    assert await world.ask("tamper", object=first.shown[0]["user"]["object"]) == []
    world.gateway.cut()
    world.gateway.users.pop("a")
    world.gateway.online.clear()
    await world.advance(0.6)
    assert len(first.shown) == 4
    assert (first.shown[3]["user"], first.shown[3]["isConnected"]) == (None, False)
    assert second.shown == first.shown


@case(27, needs="clock")
async def it_lingers_as_watches_do(world: World) -> None:
    session = await world.open(idle=3_600_000)
    first = await session.subscribe_online("a")
    await first.connected()
    await first.unsubscribe()
    await world.advance(29)
    again = await session.subscribe_online("a")
    await again.connected()
    assert len(world.gateway.subscribed) == 1
    await again.unsubscribe()
    await world.advance(29.8)
    assert world.gateway.socket.completed == []
    await world.advance(0.4)
    assert len(world.gateway.socket.completed) == 1


@case(7, 27)
async def it_takes_part_in_the_limits_of_sockets(world: World) -> None:
    world.gateway.limits = {"messageBytes": 1_000_000, "subscriptions": 4, "watchedUsers": 100}
    session = await world.open()
    everybody = await session.subscribe_all([f"u{number}" for number in range(10)], online=True)
    for subscription in everybody:
        await subscription.connected()
    assert len(world.gateway.live) == 3
    assert all(len(end.operations) <= 4 for end in world.gateway.live)
