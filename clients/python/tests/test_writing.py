"""Setting and creating."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from clients.python.tests.helpers import new_id, session_with
from tests.support.tokens import token_of

from userline.users.errors import ErrorCode
from userline_client import (
    Active,
    BadUserInput,
    Forbidden,
    NameRequired,
    ProtocolError,
    ServerError,
    UserlineError,
)

if TYPE_CHECKING:
    from clients.conformance.gateway import Gateway
    from tests.support.gateway import RunningGateway

    from userline_client import SetResult, UserSnapshot


@pytest.mark.behaviour(17)
async def test_private_fields_are_written(gateway: RunningGateway) -> None:
    user_id = new_id()
    async with session_with(gateway) as session:
        ref = session.user(user_id)
        await ref.set(name="Ann", email=("a@example.com", "b@example.com"), phone="+14155552671")
        result = await ref.set(push_tokens={"fcm:1": True, "apns:2": True})
        assert (result.created, result.changed) == (False, True)
        await ref.set(push_tokens={"fcm:1": None}, phone=None)
        stored = gateway.http.get(f"/v1/userline/users/{user_id}").json()
        assert stored["email"] == ["a@example.com", "b@example.com"]
        assert (stored["phone"], stored["pushTokens"]) == ([], {"apns:2": True})


@pytest.mark.behaviour(18)
async def test_errors_are_those_of_the_gateway(gateway: RunningGateway, guarded: RunningGateway) -> None:
    async with session_with(gateway) as session:
        with pytest.raises(NameRequired) as required:
            await session.user(new_id()).set(locale="nl")
        assert (required.value.code, required.value.field) == ("NAME_REQUIRED", "name")
        with pytest.raises(BadUserInput) as caught:
            await session.user(new_id()).set(name="", locale="?")
        assert [problem.field for problem in caught.value.problems] == ["name", "locale"]
        assert all(problem.message for problem in caught.value.problems)
    async with session_with(guarded, token=token_of("ann")) as session:
        with pytest.raises(Forbidden):
            await session.user("bob").set(name="Bob")


@pytest.mark.behaviour(18)
@pytest.mark.parametrize("kind", sorted(ServerError.known))
async def test_every_code_has_a_class(scripted: Gateway, kind: str) -> None:
    scripted.answer_by(lambda end, operation: end.refuse(operation, kind))
    async with session_with(scripted.url) as session:
        with pytest.raises(UserlineError) as caught:
            await session.user("a").set(name="A")
    assert type(caught.value) is ServerError.known[kind]
    assert caught.value.code == kind


@pytest.mark.behaviour(45)
async def test_a_write_that_is_cancelled_by_who_is_shown_it_ends_alone(scripted: Gateway) -> None:
    tasks: list[asyncio.Task[SetResult]] = []

    def cancel(user: UserSnapshot | None) -> None:
        if user is not None and user.name == "new":
            tasks[0].cancel()

    async with session_with(scripted.url) as session:
        watched = session.user("a").subscribe(cancel)
        await watched.connected
        tasks.append(asyncio.create_task(session.user("a").set(name="new")))
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        assert (await session.user("b").set(name="B")).created
        assert watched.latest_snapshot is not None


@pytest.mark.behaviour(45)
@pytest.mark.parametrize("junk", [{"id": []}, {"id": {}}, {"version": 5}, {"custom": 3}, {"name": None, "id": None}])
async def test_an_answer_that_is_not_valid_fails_its_request_alone(scripted: Gateway, junk: dict[str, Any]) -> None:
    async with session_with(scripted.url) as session:
        watched = session.user("a").subscribe()
        await watched.connected
        user = {
            "version": "5",
            "id": "b",
            "name": "B",
            "custom": {},
            "role": "default",
            "effectiveLocale": "en",
            **junk,
        }
        scripted.answer_by(lambda end, operation: end.next(operation, {"setUser": {"user": user}}))
        with pytest.raises(ProtocolError):
            await session.user("b").set(name="B")
        assert isinstance(watched.state, Active)


def test_the_classes_are_those_of_the_gateways_codes() -> None:
    assert set(ServerError.known) == {code.value for code in ErrorCode}
