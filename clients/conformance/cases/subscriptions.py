"""Subscriptions: lines 19 to 27."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from clients.conformance.cases.writing import hold_back, watching
from clients.conformance.gateway import refusal
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.gateway import End, Message
    from clients.conformance.world import World


@case(19, 20, 21, 22)
async def from_pending_to_active_to_unsubscribed(world: World) -> None:
    user = world.gateway.put("a")
    let_out = hold_back(world, "usersChanged")
    session = await world.open()
    name = world.new_subscription()
    told = await session.ask("subscribe", subscription=name.name, user="a")
    assert told == {"type": "pending"}
    connected = world.start("connected", subscription=name.name)
    terminated = world.start("terminated", subscription=name.name)
    await world.until(lambda: world.gateway.subscribed)
    assert not connected.done()
    let_out()
    first = await connected
    assert first["type"] == "active"
    assert first["latestSnapshot"]["user"] == user
    assert await name.state() == first
    assert not terminated.done()
    for _ in range(2):
        await name.unsubscribe()
    assert await terminated == await name.state() == {"type": "unsubscribed"}
    assert await name.connected() == first, "it stays what it was"
    world.gateway.set("a", name="later")
    await world.settle()
    assert len(name.shown) == 1


@case(19, 25)
async def what_can_be_iterated_over_gives_the_current_one_and_those_that_follow(world: World) -> None:
    world.gateway.put("a", name="0")
    _, subscription = await watching(world)
    following = await subscription.iterate()
    assert (await following())["value"]["user"]["name"] == "0"
    waiting = asyncio.ensure_future(following())
    await world.settle()
    assert not waiting.done()
    world.gateway.set("a", name="1")
    assert (await waiting)["value"]["user"]["name"] == "1"
    for name in ("2", "3", "4"):
        world.gateway.set("a", name=name)
        await world.settle()
    assert (await following())["value"]["user"]["name"] == "4", "who is slow misses some, never the last one"
    world.gateway.delete("a")
    assert await following() == {"done": False, "value": None}
    waiting = asyncio.ensure_future(following())
    await world.settle()
    await subscription.unsubscribe()
    assert await waiting == {"done": True}
    assert await following() == {"done": True}
    assert subscription.names == ["0", "1", "2", "3", "4", None]


@case(25)
async def an_equal_one_is_not_given_twice_in_a_row_to_who_is_slow(world: World) -> None:
    world.gateway.put("a", name="0")
    _, subscription = await watching(world)
    following = await subscription.iterate()
    await following()
    for name in ("1", "0"):
        world.gateway.set("a", name=name)
        await world.settle()
    waiting = asyncio.ensure_future(following())
    await world.settle()
    assert not waiting.done(), "what is there is what was given last"
    world.gateway.set("a", name="2")
    assert (await waiting)["value"]["user"]["name"] == "2"


@case(19, 31)
async def an_iteration_ends_with_the_error_of_the_subscription(world: World) -> None:
    world.gateway.put("a")
    _, subscription = await watching(world)
    following = await subscription.iterate()
    await following()
    waiting = asyncio.ensure_future(following())
    await world.settle()
    world.gateway.socket.refuse(world.gateway.subscribed[0]["id"], "FORBIDDEN")
    await world.fails(waiting, "FORBIDDEN")


@case(20, 21, 22)
async def what_ends_before_its_first_snapshot_rejects_connected(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    first, second = await session.subscribe_all(["a", "b"])
    connected = asyncio.ensure_future(first.connected())
    await world.settle()
    for subscription in (first, second):  # of the second one nobody listens
        await subscription.unsubscribe()
        assert await subscription.terminated() == {"type": "unsubscribed"}
    await world.fails(connected, "SUBSCRIPTION_ENDED")
    await world.fails(second.connected(), "SUBSCRIPTION_ENDED")
    await world.settle()
    assert world.logged == []


@case(19, 20, 21, 22, 31)
async def from_pending_to_error(world: World) -> None:
    world.gateway.answer_by(lambda end, operation: end.refuse(operation, "FORBIDDEN"))
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.fails(subscription.connected(), "FORBIDDEN")
    ended = await subscription.terminated()
    assert (ended["type"], ended["error"]["code"]) == ("error", "FORBIDDEN")
    await subscription.unsubscribe()
    assert await subscription.state() == ended, "it stays what it is"
    assert subscription.shown == []


@case(23)
async def one_that_comes_later_is_active_one_turn_later(world: World) -> None:
    world.gateway.put("a", name="Ann")
    session, first = await watching(world)
    second = world.new_subscription()
    told = await session.ask("subscribe", subscription=second.name, user="a")
    assert told == {"type": "pending"}
    await world.ask("sync")
    assert await second.state() == await first.state()
    assert second.shown == first.shown
    await first.unsubscribe()
    world.gateway.set("a", name="Bea")
    await world.settle()
    assert (first.names, second.names) == (["Ann"], ["Ann", "Bea"])
    third = world.new_subscription()
    subscribe = world.command("subscribe", session=session.name, subscription=third.name, user="a")
    unsubscribe = world.command("unsubscribe", subscription=third.name)
    await asyncio.gather(*world.together([subscribe, unsubscribe]))
    await world.settle()
    assert third.shown == []
    assert len(world.gateway.subscribed) == 1


@case(24)
async def what_a_callback_raises_is_logged_and_breaks_nothing(world: World) -> None:
    world.gateway.put("a", name="0")
    session = await world.open()
    raising = await session.subscribe("a", callback="raise")
    other = await session.subscribe("a")
    await other.connected()
    world.gateway.set("a", name="1")
    await world.settle()
    assert raising.names == other.names == ["0", "1"]
    assert await world.types([raising, other]) == ["active", "active"]
    assert len(world.logged) == 2
    assert all("of the application" in text for text in world.logged)


@case(24)
async def a_callback_may_subscribe_and_unsubscribe(world: World) -> None:
    world.gateway.put("a", name="0")
    session = await world.open()
    first, second, third = (world.new_subscription() for _ in range(3))
    callback = [
        {"do": "unsubscribe", "subscription": first.name},
        {"do": "unsubscribe", "subscription": second.name},
        {"do": "subscribe", "session": session.name, "subscription": third.name, "user": "a"},
    ]
    subscribe = [
        world.command("subscribe", session=session.name, subscription=first.name, user="a", callback=callback),
        world.command("subscribe", session=session.name, subscription=second.name, user="a"),
    ]
    await asyncio.gather(*world.together(subscribe))
    await world.until(lambda: third.shown)
    world.gateway.set("a", name="1")
    await world.settle()
    assert (first.names, second.names, third.names) == (["0"], [], ["0", "1"])


@case(25)
async def an_equal_snapshot_is_not_shown_twice_in_a_row(world: World) -> None:
    world.gateway.put("a", name="Ann")
    _, subscription = await watching(world)
    for name in ("Ann", "Bob", "Bob", "Ann"):
        world.gateway.set("a", name=name)
    world.gateway.delete("a")
    world.gateway.changed(["a"])
    await world.settle()
    assert subscription.names == ["Ann", "Bob", "Ann", None]


@case(25, 14, needs="real")
async def changes_come_in_order_each_once_and_the_last_one_always(world: World) -> None:
    reader, writer = await world.open(world.real), await world.open(world.real)
    user = f"order {id(world)}"
    subscription = await reader.subscribe(user)
    await subscription.connected()
    for number in range(60):
        await writer.set(user, name=str(number))
        await writer.set(user, email=[f"{number}@example.com"])  # nobody hears of it
    await world.until(lambda: subscription.names[-1] == "59")
    numbers = [int(name) for name in subscription.names if name is not None]
    assert numbers == sorted(set(numbers))


# Many at once


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
