"""What is answered by what: line 45."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any

from clients.conformance.beginnings import user_without, watching
from clients.conformance.gateway import scripted_gateway
from clients.conformance.proxy import proxy_to
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.gateway import End, Message
    from clients.conformance.world import World


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


NO_ANSWERS: dict[str, tuple[Any, ...]] = {
    "setUser": ({}, [], 5, "x", {"user": None}, {"user": {}}, {"user": 5}, {"user": user_without("version")}),
    "deleteUser": ({}, [], 5, "x", {"deleted": None}, {"deleted": "yes"}),
    "app": ({}, [], 5, "x", {"id": "x", "defaultLocale": "en"}, {"id": "x", "defaultLocale": "en", "roles": [None]}),
}


@case(45, 18, each=tuple((field, *each) for field in NO_ANSWERS for each in enumerate(NO_ANSWERS[field])))
async def an_answer_of_another_form_is_an_error_that_says_so(world: World, given: tuple[str, int, Any]) -> None:
    field, _, answer = given
    session, other = await watching(world, "other")
    world.gateway.answer_by(
        lambda end, operation: end.next(operation, {field: answer, "createUserIfNotExists": answer})
    )
    if field == "setUser":
        for do in ("set", "createIfNotExists"):
            await world.fails(session.start(do, user="a", input={"name": "A"}), "PROTOCOL_ERROR")
    elif field == "deleteUser":
        await world.fails(session.start("delete", user="a"), "PROTOCOL_ERROR")
    else:
        await world.fails(session.start("app"), "PROTOCOL_ERROR")
    world.gateway.hook = None
    assert (await session.set("a", name="Ann"))["user"]["user"]["name"] == "Ann"
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
