"""The connection, and what is answered by what: lines 33 to 41, and 45."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from clients.conformance.cases.writing import watching
from clients.conformance.gateway import scripted_gateway
from clients.conformance.proxy import proxy_to
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.gateway import End, Message
    from clients.conformance.world import World


# When there is a socket


@case(33, needs="clock")
async def a_socket_is_made_when_something_needs_it_and_closed_30_s_after_nothing_does(world: World) -> None:
    session = await world.open()
    await world.settle()
    assert world.gateway.connections == []
    subscription = await session.subscribe("a")
    await world.advance(100)
    assert len(world.gateway.live) == 1, "it is needed"
    await subscription.unsubscribe()
    await world.advance(28)
    assert len(world.gateway.live) == 1
    await world.advance(4)
    assert world.gateway.live == []
    await world.advance(30)
    assert len(world.gateway.connections) == 1
    await session.get("a")
    assert len(world.gateway.live) == 1


@case(33, needs="clock")
async def lingering_watches_alone_do_not_need_it(world: World) -> None:
    session = await world.open(idle=5000)
    await session.get("a")
    await world.advance(4)
    assert len(world.gateway.live) == 1
    await world.advance(3)
    assert world.gateway.live == []


@case(33, needs="clock")
async def nor_does_a_request_that_is_done_but_one_under_way_does(world: World) -> None:
    session = await world.open(idle=5000)
    await session.set("a", name="A")
    await world.advance(7)
    assert world.gateway.live == []
    world.gateway.answer_by(lambda *_: None)
    writing = session.start("set", user="a", input={"name": "B"})
    await world.advance(10)
    assert len(world.gateway.live) == 1
    message = world.gateway.subscribed[1]
    world.gateway.run(world.gateway.socket, message["id"], message["payload"])
    await writing
    await world.advance(7)
    assert world.gateway.live == []


# How it comes back


@case(34, needs="clock random")
async def pauses_grow_to_10_s_and_the_first_is_up_to_half_a_second(world: World) -> None:
    await world.random(0.999)
    _, subscription = await watching(world)
    world.gateway.door = "closed"
    lost = world.now
    world.gateway.cut()
    times = [lost]
    for _ in range(100):
        before = len(world.gateway.connections)
        await world.advance(0.5)
        if len(world.gateway.connections) > before:
            times.append(world.now)
        if len(times) == 9:
            break
    pauses = [later - earlier for earlier, later in itertools.pairwise(times[1:])]
    assert all(abs(pause - most) <= 0.51 for pause, most in zip(pauses, (1, 2, 4, 8, 10, 10, 10), strict=True)), pauses
    assert await subscription.type() == "active"


@case(34, needs="clock random", each=(0.1, 0.5, 0.9))
async def the_jitter_is_full_after_the_first_loss_too(world: World, chance: float) -> None:
    await watching(world)
    await world.random(chance)
    world.gateway.cut()
    await world.advance(0.5 * chance - 0.02)
    assert len(world.gateway.connections) == 1
    await world.advance(0.04)
    assert len(world.gateway.connections) == 2
    # The second failure in a row has up to a second.
    world.gateway.door = "closed"
    world.gateway.answer_by(lambda *_: None)
    world.gateway.cut()
    await world.advance_until(lambda: len(world.gateway.connections) == 3, 2, 0.05)
    await world.advance(chance - 0.07)
    assert len(world.gateway.connections) == 3
    await world.advance(0.2)
    assert len(world.gateway.connections) == 4


@case(34, needs="clock random")
async def a_connection_that_has_worked_makes_the_pauses_short_again(world: World) -> None:
    _, subscription = await watching(world)
    await world.random(0.999)
    for number in range(2):
        world.gateway.door = "closed"
        world.gateway.cut()
        await world.advance(20)
        world.gateway.door = "open"
        await world.advance(10.1)
        world.gateway.set("a", name=str(number))
        await world.settle()
        assert subscription.names[-1] == str(number)
    world.gateway.cut()
    await world.advance(0.6)
    assert len(world.gateway.live) == 1


COMING_BACK = (1000, 1001, 1002, 1007, 1011, 1012, 1013, 3999, 4408, 4430, 4431, 4499, 4503, 4999)


@case(34, 45, needs="clock", each=COMING_BACK)
async def a_close_code_that_is_answered_by_coming_back_when_the_gateway_says(world: World, code: int) -> None:
    world.gateway.put("a", name="one")
    session, subscription = await watching(world)
    world.gateway.cut(code, "This gateway is being stopped; retry after 0.7 s")
    await world.advance(0.69)
    assert len(world.gateway.connections) == 1
    world.gateway.set("a", name="two")
    await world.advance(0.02)
    assert len(world.gateway.live) == 1
    assert subscription.names == ["one", "two"]
    assert await subscription.type() == "active"
    assert session.errors == []


@case(34, needs="clock", each=("retry after 2 s", "wait; retry after 2.0 s please"))
async def its_word_is_understood_wherever_it_stands(world: World, reason: str) -> None:
    await watching(world)
    world.gateway.cut(1012, reason)
    await world.advance(1.95)
    assert len(world.gateway.connections) == 1
    await world.advance(0.1)
    assert len(world.gateway.connections) == 2


@case(35, needs="clock")
async def after_a_loss_all_that_is_wanted_is_one_operation_and_shown_only_if_it_differs(world: World) -> None:
    ids = [f"u{number}" for number in range(60)]
    session = await world.open()
    subscriptions = []
    for user_id in ids:
        world.gateway.put(user_id)
        subscriptions.append(await session.subscribe(user_id))
    await subscriptions[-1].connected()
    await session.get("lingers")
    await world.settle()
    world.gateway.cut()
    await world.settle()
    world.gateway.set("u7", name="new")
    world.gateway.set("u8")  # what only servers see
    await world.advance(0.6)
    assert [sorted(message["payload"]["variables"]["ids"]) for message in world.gateway.socket.subscribed] == [
        sorted(ids)
    ]
    assert [len(each.shown) for each in subscriptions] == [2 if each == "u7" else 1 for each in ids]
    assert await world.types(subscriptions) == ["active"] * 60


@case(36, needs="clock")
async def requests_under_way_are_sent_again_until_they_are_answered(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    asking = [
        session.start("set", user="a", input={"name": "A"}),
        session.start("createIfNotExists", user="b", input={"name": "B"}),
        session.start("delete", user="c"),
        session.start("app"),
        session.start("get", user="d"),
    ]
    await world.until(lambda: len(world.gateway.subscribed) == 5)
    for _ in range(2):
        world.gateway.cut()
        await world.advance(1.1)
    assert len(world.gateway.live) == 1
    payloads = [sorted(str(message["payload"]) for message in end.subscribed) for end in world.gateway.sockets]
    assert payloads[0] == payloads[1] == payloads[2]
    world.gateway.hook = None
    for message in world.gateway.socket.subscribed:
        world.gateway.run(world.gateway.socket, message["id"], message["payload"])
    results = await asyncio.gather(*asking)
    assert results[0]["user"]["user"]["name"] == "A"
    assert results[2] is False


@case(36, needs="clock")
async def or_until_their_time_runs_out_and_then_the_gateway_is_told(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    asking = [session.start("set", user="a", input={"name": "B"}), session.start("app")]
    await world.advance(14.5)
    assert not any(each.done() for each in asking)
    await world.advance(1)
    for each in asking:
        await world.fails(each, "CONNECTION_TIMEOUT")
    await world.settle()
    assert sorted(world.gateway.socket.completed) == sorted(each["id"] for each in world.gateway.subscribed)
    # What comes too late is not looked at.
    world.gateway.run(world.gateway.socket, world.gateway.subscribed[0]["id"], world.gateway.subscribed[0]["payload"])
    await world.settle()
    world.gateway.hook = None
    assert await session.name_of("a") == "B"


@case(36, needs="clock")
async def without_a_connection_the_error_says_why(world: World) -> None:
    world.gateway.door = "closed"
    session = await world.open()
    writing = session.start("set", user="a", input={"name": "A"})
    await world.advance(15.5)
    error = await world.fails(writing, "DISCONNECTED")
    assert error.told["kind"] not in {"ConnectionTimeout", "Error"}
    world.gateway.door = "open"
    writing = session.start("set", user="a", input={"name": "A"})
    await world.advance(10.1)
    await writing
    world.gateway.door = (1012, "it is being moved")
    world.gateway.cut(1012, "it is being moved")
    await world.settle()
    writing = session.start("set", user="a", input={"name": "B"})
    await world.advance(15.5)
    assert "it is being moved" in (await world.fails(writing, "DISCONNECTED")).told["message"]


@case(36, needs="cancel")
async def a_request_that_nobody_waits_for_any_more_is_ended(world: World) -> None:
    world.gateway.answer_by(lambda *_: None)
    session = await world.open()
    command = world.command("set", session=session.name, user="a", input={"name": "A"})
    (writing,) = world.together([command])
    await world.until(lambda: world.gateway.subscribed)
    await world.ask("cancel", command=command["id"])
    await world.fails(writing)
    await world.until(lambda: world.gateway.socket.completed)


# Who is there, and who is not


@case(37, needs="clock")
async def a_dead_peer_is_found_within_15_s(world: World) -> None:
    world.gateway.put("a", name="before")
    session, subscription = await watching(world)
    await world.advance(3)
    world.gateway.set("a", name="the last that came")
    await world.settle()
    world.gateway.socket.swallow()
    world.gateway.put("a", name="after")
    await world.advance(8)
    assert len(world.gateway.connections) == 1, "it has 5 and 7 s"
    await world.advance(7.5)
    assert len(world.gateway.live) == 2
    assert subscription.names == ["before", "the last that came", "after"]
    assert session.errors == []


@case(37, needs="clock")
async def a_peer_that_answers_lives_on(world: World) -> None:
    _, subscription = await watching(world)
    await world.advance(100)
    assert len(world.gateway.connections) == 1
    assert await subscription.type() == "active"


@case(37, needs="clock")
async def a_peer_that_only_talks_lives_on(world: World) -> None:
    """It answers no ping, and sends what it has to say."""
    _, subscription = await watching(world)
    world.gateway.hook = lambda _, message: message["type"] == "ping"
    for number in range(15):
        world.gateway.set("a", name=str(number))
        await world.advance(3)
    assert len(world.gateway.connections) == 1
    assert subscription.names[-1] == "14"


@case(37, needs="clock")
async def so_does_who_stood_still_itself(world: World) -> None:
    await watching(world)
    for seconds in (2, 6, 20, 3600):
        await world.advance(2)
        await world.block(seconds)
        await world.advance(2)
        await world.advance(2)
    assert len(world.gateway.connections) == 1


@case(37, needs="clock")
async def who_stood_still_gives_a_peer_3_s(world: World) -> None:
    await watching(world)
    await world.advance(2)
    world.gateway.socket.swallow()
    await world.block(60)
    await world.advance(2)
    assert len(world.gateway.connections) == 1
    await world.advance(3)
    assert len(world.gateway.live) == 2


@case(37, needs="clock")
async def a_page_that_runs_once_a_minute_finds_its_peer_gone_too(world: World) -> None:
    await watching(world)
    world.gateway.socket.swallow()
    for _ in range(6):
        await world.block(60)
        await world.advance_alone(0.001)
        await world.settle()
    assert len(world.gateway.connections) > 1


@case(37, needs="clock")
async def a_socket_that_never_opens_is_given_up_and_one_that_is_not_acknowledged(world: World) -> None:
    world.gateway.door = "silent"
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.advance(11)
    assert len(world.gateway.connections) > 1
    world.gateway.door = "open"
    world.gateway.is_deaf = True
    for end in world.gateway.connections:
        end.cut()
    await world.advance(2)
    opened = len(world.gateway.sockets)
    assert opened
    await world.advance(22)
    assert len(world.gateway.sockets) > opened
    world.gateway.is_deaf = False
    await world.advance(21)
    assert await subscription.type() == "active"


@case(38, needs="clock", each=((-3600, False), (0.5, False), (4, False), (7, True), (8 * 3600, True)))
async def a_sleep_of_the_machine_is_found_at_once(world: World, given: tuple[float, bool]) -> None:
    seconds, is_sleep = given
    world.gateway.put("a", name="before")
    _, subscription = await watching(world)
    await world.advance(10)
    world.gateway.put("a", name="after")
    await world.sleep(seconds)
    await world.advance(1.6)
    assert len(world.gateway.connections) == 1 + is_sleep
    assert subscription.names == (["before", "after"] if is_sleep else ["before"])
    await world.advance(20)
    assert len(world.gateway.connections) == 1 + is_sleep


@case(38, needs="clock")
async def and_a_pause_is_over(world: World) -> None:
    await watching(world)
    world.gateway.cut(1012, "retry after 100 s")
    await world.advance(2)
    assert world.gateway.live == []
    await world.sleep(60)
    await world.advance(1.1)
    assert len(world.gateway.live) == 1


@case(38, needs="clock")
async def a_dead_socket_after_a_sleep_is_not_waited_for(world: World) -> None:
    await watching(world)
    for number in range(2):
        world.gateway.socket.swallow()
        await world.sleep(600)
        await world.advance(1.6)
        assert len(world.gateway.connections) == number + 2


@case(38, needs="clock browser")
async def a_page_that_comes_back_ends_a_pause(world: World) -> None:
    session, subscription = await watching(world)
    for event in ("online", "pageshow", "visibilitychange"):
        world.gateway.cut(1012, "retry after 100 s")
        await world.advance(5)
        assert world.gateway.live == []
        await world.ask("page", event="visibilitychange", hidden=True)
        await world.settle()
        assert world.gateway.live == [], "it is hidden"
        await world.ask("page", event=event)
        await world.advance(0.1)
        assert len(world.gateway.live) == 1, event
    assert await subscription.type() == "active"
    assert session.errors == []


@case(38, 37, needs="clock browser")
async def and_asks_a_live_socket(world: World) -> None:
    await watching(world)
    for event in ("online", "pageshow", "visibilitychange"):
        await world.ask("page", event=event)
        await world.advance(5)
    assert len(world.gateway.connections) == 1, "it answers"
    world.gateway.socket.swallow()
    await world.ask("page", event="online")
    await world.advance(3.7)  # three ticks, and the first pause
    assert len(world.gateway.connections) == 2, "it does not"


@case(38, needs="clock browser")
async def an_event_of_a_page_does_not_disturb_a_handshake(world: World) -> None:
    world.gateway.door = "silent"
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.until(lambda: world.gateway.connections)
    await world.ask("page", event="pageshow")
    await world.settle()
    assert len(world.gateway.connections) == 1
    world.gateway.door = "open"
    world.gateway.connections[0].transport.resume_reading()
    await subscription.connected()
    assert len(world.gateway.connections) == 1


# The end, and sharing


@case(39, 21)
async def closing_ends_everything(world: World) -> None:
    session = await world.open()
    active = await session.subscribe("a")
    await active.connected()
    world.gateway.answer_by(lambda *_: None)
    pending, online, many = (
        await session.subscribe("b"),
        await session.subscribe_online("c"),
        await session.subscribe_many(["a", "d"]),
    )
    connected = asyncio.ensure_future(pending.connected())
    following = await active.iterate()
    await following()
    reading = asyncio.ensure_future(following())
    asking = [
        session.start("get", user="e"),
        session.start("set", user="a", input={"name": "A"}),
        session.start("app"),
        session.start("delete", user="a"),
    ]
    await world.settle()
    await session.close()
    for subscription in (active, pending, online, many):
        assert await subscription.terminated() == {"type": "unsubscribed"}
    for each in (*asking, connected):
        await world.fails(each, "SESSION_CLOSED")
    assert await reading == {"done": True}
    await session.close()
    await world.until(lambda: not world.gateway.live)
    commands: list[tuple[str, Message]] = [
        ("get", {"user": "a"}),
        ("set", {"user": "a", "input": {}}),
        ("delete", {"user": "a"}),
        ("app", {}),
        ("setToken", {"token": "x"}),
        ("subscribe", {"user": "a", "subscription": "never"}),
    ]
    for do, given in commands:
        await world.fails(session.start(do, **given), "SESSION_CLOSED")
    assert session.errors == []


@case(39, needs="clock")
async def closing_leaves_nothing_whatever_was_waited_for(world: World) -> None:
    """``World.close`` looks for what is left of each case; here it is closed in the middle of all kinds of waiting."""
    world.gateway.answer_by(lambda end, operation: end.refuse(operation, "RATE_LIMITED", retryAfterSeconds=50))
    resting = await world.open()
    await resting.subscribe("a")
    resting.start("get", user="b")
    await world.settle()
    world.gateway.door = "closed"
    pausing = await world.open()
    await pausing.subscribe("a")
    pausing.start("set", user="a", input={"name": "A"})
    await world.settle()
    world.gateway.door = "open"
    asking = await world.open(on_need_token=lambda _: None)
    await asking.subscribe("a")
    await world.settle()
    fresh = await world.open()
    await fresh.subscribe("a")
    for session in (resting, pausing, asking, fresh):
        await session.close()


@case(40, needs="share")
async def the_same_url_and_user_are_the_same_session_closed_when_all_have_closed_it(world: World) -> None:
    ann: dict[str, Any] = {"shared": True, "userId": "ann"}
    one, again = await world.open(**ann), await world.open(**ann)
    others = [await world.open(shared=True, userId="bob"), await world.open(userId="ann")]
    async with scripted_gateway() as elsewhere:
        others.append(await world.open(elsewhere.url, **ann))
        assert one.object == again.object
        assert len({one.object, *(other.object for other in others)}) == 4
        await one.close()
        await again.get("a")
        await again.close()
        await world.fails(again.start("get", user="a"), "SESSION_CLOSED")
        later = await world.open(**ann)
        assert later.object != one.object
        for session in (*others, later):
            await session.close()


@case(41, needs="clock")
async def the_app_is_asked_for_once_for_each_connection(world: World) -> None:
    session, _ = await watching(world)
    first, second = await asyncio.gather(session.ask("app"), session.ask("app"))
    assert first == second == await session.ask("app")
    assert {name: value for name, value in first.items() if name != "object"} == {
        "id": "test",
        "defaultLocale": "en",
        "roles": {"default": {"can": ["read"]}, "admin": {}},
    }
    assert len(world.gateway.subscribed) == 2
    world.gateway.cut()
    await world.settle()
    await world.advance(0.6)
    again = await session.ask("app")
    assert again["object"] != first["object"]
    assert len(world.gateway.subscribed) == 4


@case(41, needs="real")
async def the_app_of_a_real_gateway(world: World) -> None:
    session = await world.open(world.real)
    app = await session.ask("app")
    assert (app["id"], app["defaultLocale"]) == ("userline", "en")
    assert "default" in app["roles"]


# What is answered by what

FAULTS = (1008, 1009, 4400, 4401, 4406, 4409, 4429)


@case(45, needs="clock", each=FAULTS)
async def a_close_code_that_ends_everything(world: World, code: int) -> None:
    session = await world.open()
    subscription = await session.subscribe("a")
    await subscription.connected()
    world.gateway.answer_by(lambda *_: None)
    getting = session.start("get", user="b")
    writing = session.start("set", user="b", input={"name": "B"})
    await world.settle()
    world.gateway.cut(code, "What is wrong")
    error = (await subscription.terminated())["error"]
    assert (error["code"], error["closeCode"]) == ("PROTOCOL_ERROR", code)
    assert "What is wrong" in error["message"]
    for each in (getting, writing):
        assert (await world.fails(each, "PROTOCOL_ERROR")).told == error
    await world.advance(30)
    assert session.errors == [error], "the application is told once"
    assert len(world.gateway.connections) == 1
    world.gateway.hook = None
    await session.get("a")


MESSAGES = ("no JSON", "[]", "null", "5", '"x"', "{}", '{"type":7}', '{"id":"1"}', "[" * 50_000)


@case(45, each=MESSAGES)
async def a_message_that_the_protocol_does_not_have(world: World, text: str) -> None:
    session, subscription = await watching(world)
    world.gateway.socket.tell(text)
    assert (await subscription.terminated())["error"]["code"] == "PROTOCOL_ERROR"
    assert len(session.errors) == 1
    await world.settle()
    assert len(world.gateway.connections) == 1


STATUSES = (
    *((status, False) for status in (408, 425, 429, 500, 502, 503, 504)),
    *((status, True) for status in (200, 400, 401, 403, 404, 410, 501)),
)


@case(45, needs="clock handshake", each=STATUSES)
async def an_http_status_at_the_handshake(world: World, given: tuple[int, bool]) -> None:
    world.gateway.door, is_fatal = given
    session = await world.open()
    subscription = await session.subscribe("a")
    await world.until(lambda: world.gateway.connections)
    await world.settle()
    if is_fatal:
        error = (await subscription.terminated())["error"]
        assert error["code"] == "PROTOCOL_ERROR"
        assert str(given[0]) in error["message"]
        assert len(session.errors) == 1
    else:
        world.gateway.door = "open"
        await world.advance(0.6)
        assert await subscription.type() == "active"


@case(45, needs="clock tls")
async def a_certificate_that_is_not_trusted_unless_there_has_been_a_connection_before(world: World) -> None:
    context = world.authority.context()
    async with scripted_gateway(context) as secure:
        here, world.gateway = world.gateway, secure
        session = await world.open(secure.url)
        subscription = await session.subscribe("a")
        await subscription.connected()
        world.authority.distrust(context)
        secure.cut()
        await world.advance(3)
        assert await subscription.type() == "active"
        assert session.errors == []
        other = await world.open(secure.url)
        refused = await other.subscribe("a")
        error = (await refused.terminated())["error"]
        assert error["code"] == "PROTOCOL_ERROR"
        assert "certificate" in error["message"] or "signed" in error["message"]
        assert len(other.errors) == 1
        await session.close()
        world.gateway = here


RESULTS: tuple[Any, ...] = (
    None,
    5,
    [],
    {},
    {"data": None},
    {"errors": []},
    {"data": 5},
    {"errors": [None]},
    {"data": {}},
    {"data": {"usersChanged": [None]}},
    {"data": None, "errors": [{"message": 5}]},
)


@case(45, each=tuple(enumerate(RESULTS)))
async def a_result_that_is_none_fails_its_operation_alone(world: World, given: tuple[int, Any]) -> None:
    session, other = await watching(world, "other")
    world.gateway.answer_by(lambda *_: None)
    subscription = await session.subscribe("a")
    await world.until(lambda: len(world.gateway.subscribed) == 2)
    operation = world.gateway.subscribed[1]["id"]
    world.gateway.socket.tell({"id": operation, "type": "next", "payload": given[1]})
    assert (await subscription.terminated())["type"] == "error"
    await world.settle()
    assert world.gateway.socket.completed == [operation]
    world.gateway.socket.tell({"type": "something new", "id": world.gateway.subscribed[0]["id"]})
    await world.settle()
    assert await other.type() == "active"
    assert session.errors == []


@case(45, 36)
async def a_request_whose_result_is_none_fails_alone(world: World) -> None:
    def hook(end: End, message: Message) -> bool:
        if message["type"] == "subscribe":
            end.next(message["id"], {"setUser": None, "createUserIfNotExists": None, "deleteUser": None, "app": None})
            end.complete(message["id"])
        return bool(message["type"] == "subscribe")

    session, other = await watching(world, "other")
    world.gateway.hook = hook
    for do, given in (
        ("set", {"input": {"name": "A"}}),
        ("createIfNotExists", {"input": {"name": "A"}}),
        ("delete", {}),
    ):
        await world.fails(session.start(do, user="a", **given), "PROTOCOL_ERROR")
    await world.fails(session.start("app"), "PROTOCOL_ERROR")
    world.gateway.answer_by(lambda end, operation: end.complete(operation))
    await world.fails(session.start("set", user="a", input={"name": "A"}), "PROTOCOL_ERROR")
    assert await other.type() == "active"
    assert session.errors == []


# Cuts at any byte


@case(25, 34, 35, needs="real clock")
async def cuts_at_any_byte_lose_no_last_state(world: World) -> None:
    budgets = iter([None, 300, 700, 1100, 1500, 2100, 2900, 900, 400, 1300])
    async with proxy_to(int(world.real.rpartition(":")[2].partition("/")[0]), lambda: next(budgets, None)) as proxy:
        reader, writer = await world.open(proxy.url), await world.open(world.real)
        users = [f"cut {number} {id(world)}" for number in range(5)]
        subscriptions = await reader.subscribe_all(users)
        await asyncio.gather(*(each.connected() for each in subscriptions))
        proxy.cut()
        for number in range(25):
            await writer.set(users[number % 5], name=str(number))
            await world.advance_alone(0.5)
            await asyncio.sleep(0.01)

        def all_told() -> bool:
            return [each.names[-1] for each in subscriptions] == [str(20 + number) for number in range(5)]

        for _ in range(200):
            if all_told():
                break
            await world.advance_alone(0.5)
            await asyncio.sleep(0.02)
        assert all_told(), [each.names for each in subscriptions]
        for each in subscriptions:
            assert all(one != other for one, other in itertools.pairwise(each.names))
            versions = [int(user["version"]) for user in each.users if user is not None]
            assert versions == sorted(set(versions))
        assert proxy.cuts >= 3
        await reader.close()
