"""References and snapshots."""

from __future__ import annotations

import copy
import dataclasses
import gc
import json
import pickle
from typing import TYPE_CHECKING, Any, cast

import pytest
from clients.python.tests.helpers import new_id, session_with

from userline_client import Session, SessionClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.gateway import RunningGateway


@pytest.mark.behaviour(3)
async def test_a_snapshot_can_be_copied_pickled_and_written_as_json(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        snapshot = (await session.user(new_id()).create_if_not_exists(name="A", custom={"team": "blue"})).user
    assert json.loads(json.dumps(dataclasses.asdict(snapshot)))["custom"] == {"team": "blue"}
    changes: list[Callable[[Any], object]] = [
        lambda custom: custom.__setitem__("team", "red"),
        lambda custom: custom.__delitem__("team"),
        lambda custom: custom.__ior__({"team": "red"}),
        lambda custom: custom.update(team="red"),
        lambda custom: custom.setdefault("other", ""),
        lambda custom: custom.pop("team"),
        lambda custom: custom.popitem(),
        lambda custom: custom.clear(),
    ]
    for same in (snapshot, copy.copy(snapshot), copy.deepcopy(snapshot), pickle.loads(pickle.dumps(snapshot))):  # noqa: S301
        for change in changes:
            with pytest.raises(TypeError, match="read-only"):
                change(same.custom)
        assert same == snapshot
        assert same.custom == {"team": "blue"}


@pytest.mark.behaviour(3)
async def test_a_snapshot_never_changes_and_is_the_same_object_until_the_user_does(gateway: RunningGateway) -> None:
    async with session_with(gateway) as session:
        ref = session.user(new_id())
        written = (await ref.set(name="Ann", custom={"a": "1"})).user
        with pytest.raises(dataclasses.FrozenInstanceError):
            cast("Any", written).name = "Bob"
        with pytest.raises(TypeError):
            cast("Any", written.custom)["a"] = "2"
        async with ref.subscribe() as subscription:
            assert (await subscription.connected).latest_snapshot is written
            assert await ref.get() is written
            assert (await ref.set(name="Ann")).user is written
            changed = (await ref.set(name="Bob")).user
            assert changed is not written
            assert hash(changed) != hash(written)


@pytest.mark.behaviour(1)
async def test_a_reference_that_nobody_holds_is_forgotten() -> None:
    async with Session("ws://127.0.0.1:1/graphql") as session:
        for number in range(1000):
            session.user(str(number))
        gc.collect()
        kept = session.user("kept")
        assert list(session._refs.values()) == [kept]
        await session.close()
        with pytest.raises(SessionClosed):
            await kept.get()
