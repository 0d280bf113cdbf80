"""Gets: a watch that lingers, which answers those that come after, and own writes and deletions beside it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from clients.python.tests.helpers import new_id, session_with, subscribe_operations
from tests.support.gateway import RunningGateway
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from userline_client import UserSnapshot


def _name(snapshot: object) -> str | None:
    return getattr(snapshot, "name", None)


@pytest.mark.behaviour(5)
@pytest.mark.parametrize("other_gateway", [False, True], ids=["the same gateway", "another gateway"])
async def test_a_get_shows_what_another_session_wrote_100_ms_ago_without_a_request(
    two_gateways: tuple[RunningGateway, RunningGateway], *, other_gateway: bool
) -> None:
    first, second = two_gateways
    user_id = new_id()
    async with session_with(first) as session, session_with(second if other_gateway else first) as writer:
        assert await session.user(user_id).get() is None
        before = subscribe_operations(session)
        for number in range(10):
            await writer.user(user_id).set(name=f"Name {number}")
            await asyncio.sleep(0.1)
            assert _name(await session.user(user_id).get()) == f"Name {number}"
        await writer.user(user_id).delete()
        await asyncio.sleep(0.1)
        assert await session.user(user_id).get() is None
        assert subscribe_operations(session) == before


@pytest.mark.behaviour(16)
async def test_a_deletion_is_seen_by_everybody(two_gateways: tuple[RunningGateway, RunningGateway]) -> None:
    first, second = two_gateways
    user_id = new_id()
    seen: list[UserSnapshot | None] = []
    async with session_with(first) as session, session_with(second) as other:
        ref = session.user(user_id)
        await ref.set(name="Ann")
        watching = other.user(user_id).subscribe(seen.append)
        own = ref.subscribe()
        await asyncio.gather(watching.connected, own.connected)
        assert await ref.delete()
        assert own.latest_snapshot is None
        assert await ref.get() is None
        await until(lambda: len(seen) == 2)
        assert not await ref.delete()
        await asyncio.sleep(0.1)
        again = await ref.set(name="Bea")
        assert again.created
        assert _name(own.latest_snapshot) == "Bea"
        await until(lambda: len(seen) == 3)
        assert [_name(snapshot) for snapshot in seen] == ["Ann", None, "Bea"]
        versions = [int(snapshot.version) for snapshot in seen if snapshot is not None]
        assert versions == sorted(set(versions))


@pytest.mark.behaviour(3, 41)
async def test_the_app_of_a_real_gateway(tmp_path: Path) -> None:
    (tmp_path / "roles.json").write_text('{"default": {}, "admin": {"canBan": true}}')
    env = {"USERLINE_ROLES": str(tmp_path / "roles.json"), "USERLINE_DEFAULT_LOCALE": "nl", "USERLINE_APP_ID": "chat"}
    running = RunningGateway(tmp_path, env=env)
    try:
        async with session_with(running) as session:
            app = await session.app()
            assert (app.id, app.default_locale) == ("chat", "nl")
            assert app.roles["admin"]["canBan"] is True
            user = (await session.user("a").set(name="A", role="admin")).user
            assert (user.locale, user.effective_locale) == (None, "nl")
            user = (await session.user("a").set(locale="fr")).user
            assert (user.locale, user.effective_locale) == ("fr", "fr")
            assert user.version.isdecimal()
    finally:
        running.stop()
