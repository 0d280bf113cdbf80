"""Edits that other programs make in the store, as a running gateway takes them."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from userline.gateway.runtime import Runtime
from userline.settings.settings import Settings
from userline.users.patch import parse_patch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def runtime(tmp_path: Path) -> AsyncIterator[Runtime]:
    runtime = Runtime(Settings(_env_file=None, store_url=f"sqlite:///{tmp_path}/users.db"))
    async with runtime.running():
        yield runtime


async def edit_behind(runtime: Runtime, name: str) -> None:
    """Change a user as another gateway does that cannot tell."""
    await runtime.store.patch("alice", parse_patch({"name": name}, runtime.settings.rules))


async def test_an_edit_with_a_new_version_is_shown_as_it_comes(runtime: Runtime) -> None:
    await edit_behind(runtime, "Alice")
    async with aclosing(runtime.users.watch("alice")) as events:
        first = await anext(events)
        assert first is not None
        told = replace(first, version=first.version + 1, name="Told of")
        runtime._hear_of_an_edit(told)
        assert await anext(events) is told


async def test_an_edit_that_left_the_version_as_it_was_is_read_again(runtime: Runtime) -> None:
    await edit_behind(runtime, "Alice")
    async with aclosing(runtime.users.watch("alice")) as events:
        first = await anext(events)
        assert first is not None
        # What the stream tells is a hint; what is shown comes from the store.
        await edit_behind(runtime, "As it is stored")
        runtime._hear_of_an_edit(replace(first, name="By hand"))
        second = await anext(events)
        assert second is not None
        assert second.name == "As it is stored"


async def test_a_deletion_and_missed_edits_are_looked_up(runtime: Runtime) -> None:
    await edit_behind(runtime, "Alice")
    async with aclosing(runtime.users.watch("alice")) as events:
        await anext(events)
        await edit_behind(runtime, "Second")
        runtime._hear_of_a_deletion("alice")
        second = await anext(events)
        assert second is not None
        assert second.name == "Second"
        await edit_behind(runtime, "Third")
        runtime._miss_edits()
        third = await anext(events)
        assert third is not None
        assert third.name == "Third"
