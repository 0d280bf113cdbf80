"""What is sent, and what is refused: lines 17 and 18."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clients.conformance.ends import CODES, refusal
from clients.conformance.table import case

if TYPE_CHECKING:
    from clients.conformance.gateway import Message
    from clients.conformance.world import World


@case(17)
async def left_out_null_and_a_value_are_three_things(world: World) -> None:
    session = await world.open()
    inputs: list[Message] = [
        {"name": "A"},
        {"name": "A", "locale": None, "custom": {"x": "1", "y": None}, "photoUrl": "https://x/"},
        {"custom": None, "welcomeMessage": None, "role": "admin"},
        {"email": ["a@example.com"], "phone": None, "pushTokens": {"fcm:1": True, "apns:2": None}},
        {},
    ]
    for given in inputs:
        await session.set("a", **given)
    assert [each["payload"]["variables"] for each in world.gateway.subscribed] == [
        {"id": "a", "input": given} for given in inputs
    ]


@case(17, needs="real")
async def a_gateway_takes_them_for_three_things(world: World) -> None:
    session = await world.open(world.real)
    user = f"three {id(world)}"
    created = await session.ask(
        "createIfNotExists", user=user, input={"name": "Ann", "locale": "nl", "custom": {"a": "1", "b": "2"}}
    )
    assert created["created"] is True
    now = (await session.set(user, locale=None, custom={"a": None, "c": "3"}))["user"]["user"]
    assert (now["name"], now["locale"], now["custom"]) == ("Ann", None, {"b": "2", "c": "3"})
    now = (await session.set(user, custom=None, photoUrl="https://example.com/a.png"))["user"]["user"]
    assert (now["custom"], now["photoUrl"]) == ({}, "https://example.com/a.png")
    assert (await session.set(user))["changed"] is False
    error = await world.fails(session.set(user, name=" ", locale="?"), "BAD_USER_INPUT")
    assert [problem["field"] for problem in error.told["problems"]] == ["name", "locale"]
    await world.fails(session.set(f"nobody {id(world)}", locale="nl"), "NAME_REQUIRED")


@case(18)
async def refusals_are_errors_of_their_own_kinds_and_are_not_repeated(world: World) -> None:
    problems = [{"field": "name", "message": "too long"}, {"field": "locale", "message": "none"}]
    code = ""

    def hook(end: Any, message: Message) -> bool:
        if message["type"] == "subscribe":
            error = refusal(code, field="name", problems=problems, retryAfterSeconds=2)
            end.next(message["id"], None, [error])
            end.complete(message["id"])
        return bool(message["type"] == "subscribe")

    world.gateway.hook = hook
    session = await world.open()
    kinds: dict[str, str] = {}
    for code in (*CODES, "OF_A_LATER_VERSION", "constructor"):
        error = await world.fails(session.set("a", name="x"), code)
        assert error.told["message"] == f"Refused: {code}."
        assert error.told["retryAfterSeconds"] == 2
        kinds[code] = error.told["kind"]
        if code in {"BAD_USER_INPUT", "NAME_REQUIRED"}:
            assert (error.told["field"], error.told["problems"]) == ("name", problems)
    await world.settle()
    assert len(world.gateway.subscribed) == len(kinds), "each was sent once"
    assert len({kinds[each] for each in CODES}) == len(CODES)
    assert kinds["OF_A_LATER_VERSION"] == kinds["constructor"] not in {kinds[each] for each in CODES}


@case(18, 31)
async def a_refusal_as_error_is_understood_too(world: World) -> None:
    world.gateway.answer_by(lambda end, operation: end.refuse(operation, "FORBIDDEN"))
    session = await world.open()
    for do in ("set", "createIfNotExists"):
        await world.fails(session.start(do, user="a", input={"name": "x"}), "FORBIDDEN")
    await world.fails(session.start("delete", user="a"), "FORBIDDEN")
    await world.fails(session.start("app"), "FORBIDDEN")


@case(18, needs="clock")
async def a_refusal_that_passes_is_told_and_not_tried_again_for_a_write(world: World) -> None:
    world.gateway.answer_by(lambda end, operation: end.refuse(operation, "RATE_LIMITED", retryAfterSeconds=1))
    session = await world.open()
    await world.fails(session.set("a", name="x"), "RATE_LIMITED")
    await world.advance(20)
    assert len(world.gateway.subscribed) == 1


@case(18)
async def what_cannot_be_sent_is_refused_at_once(world: World) -> None:
    session = await world.open()
    unsendable: list[Message] = [
        {"name": "\ud800"},
        {"custom": {"\udc00": "x"}},
        {"custom": {"x": "a\udc00b"}},
        {"locale": {"$unsendable": True}},
        {"custom": {"x": {"$unsendable": True}}},
    ]
    for given in unsendable:
        await world.fails(session.set("a", **given), "INVALID_INPUT")
    await world.settle()
    assert world.gateway.connections == []
    world.gateway.limits = {"messageBytes": 100_000}
    await session.set("a", name="x" * 60_000)
    await world.fails(session.set("a", name="x" * 100_000), "INVALID_INPUT")
    await world.fails(session.set("a", name="🙂" * 25_000), "INVALID_INPUT")
    await session.set("a", name="🙂" * 20_000)
    assert len(world.gateway.subscribed) == 2
    assert len(world.gateway.connections) == 1
