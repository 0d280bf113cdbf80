"""Setting and creating."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from clients.python.tests.helpers import new_id, session_with
from tests.support.tokens import token_of

from userline.users.errors import ErrorCode
from userline_client import (
    UNSET,
    BadUserInput,
    Forbidden,
    InvalidInput,
    NameRequired,
    ServerError,
    UserlineError,
)

if TYPE_CHECKING:
    from clients.python.tests.scripted import ScriptedGateway
    from tests.support.gateway import RunningGateway


@pytest.mark.behaviour(17)
async def test_left_out_none_and_a_value_differ(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        ref = session.user(new_id())
        created = await ref.create_if_not_exists(
            name="Ann", locale="nl", custom={"a": "1", "b": "2"}, email="a@example.com", role=None
        )
        assert created.created
        user = (await ref.set(name=UNSET, locale=None, custom={"a": None, "c": "3"})).user
        assert (user.name, user.locale, dict(user.custom)) == ("Ann", None, {"b": "2", "c": "3"})
        user = (await ref.set(custom=None, photo_url="https://example.com/a.png", welcome_message="Hi")).user
        assert (dict(user.custom), user.photo_url, user.welcome_message) == ({}, "https://example.com/a.png", "Hi")
        assert not (await ref.set()).changed


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


@pytest.mark.behaviour(17)
async def test_a_user_who_exists_is_not_created_again(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        ref = session.user(new_id())
        assert (await ref.create_if_not_exists(name="Ann")).created
        again = await ref.create_if_not_exists(name="Bob")
        assert (again.created, again.user.name) == (False, "Ann")


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
async def test_every_code_has_a_class(scripted: ScriptedGateway, kind: str) -> None:
    error = await _refused_with(scripted, kind)
    assert type(error) is ServerError.known[kind]
    assert error.code == kind


@pytest.mark.behaviour(18)
async def test_a_code_of_a_later_gateway_is_a_server_error(scripted: ScriptedGateway) -> None:
    error = await _refused_with(scripted, "OF_A_LATER_VERSION")
    assert type(error) is ServerError
    assert error.code == "OF_A_LATER_VERSION"


def test_the_classes_are_those_of_the_gateways_codes() -> None:
    assert set(ServerError.known) == {code.value for code in ErrorCode}


@pytest.mark.behaviour(18)
async def test_what_cannot_be_sent_is_refused_here() -> None:
    async with session_with("ws://127.0.0.1:1/graphql") as session:
        ref = session.user("a")
        with pytest.raises(InvalidInput):
            await ref.set(name="\ud800")
        with pytest.raises(InvalidInput):
            await ref.set(custom={"a": "x" * 70_000})
        with pytest.raises(ValueError, match="JSON"):
            await ref.set(custom={"a": object()})  # type: ignore[dict-item]


async def _refused_with(scripted: ScriptedGateway, code: str) -> UserlineError:
    async with session_with(scripted.url) as session:
        writing = asyncio.create_task(session.user("a").set(name="A"))
        await scripted.refuse(await scripted.expect("subscribe", "setUser"), code)
        with pytest.raises(UserlineError) as caught:
            await writing
        return caught.value
