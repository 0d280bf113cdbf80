"""Several gateways that meet on Redis, where more than a bus that dies happens, and where the store is MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.chaos.scenarios import SCENARIOS
from tests.gateway.many.playing import LONG, OTHERS, PLAIN, PLAYED, play_apart

if TYPE_CHECKING:
    from pathlib import Path

ON_MONGODB = [(name, f"nx-27017/{driver}") for driver in ("motor", "pymongo") for name in PLAYED]
SOME_ON_MONGODB = [(PLAIN[0], "nx-27017/pymongo"), (PLAIN[1], "nx-27017/motor")]


@pytest.mark.parametrize("name", OTHERS)
async def test_edits_reach_every_watcher_in_order(tmp_path: Path, name: str) -> None:
    await play_apart(tmp_path, name, SCENARIOS[name].store, "redis")


@pytest.mark.parametrize(("name", "store"), ON_MONGODB if LONG else SOME_ON_MONGODB)
async def test_on_mongodb(tmp_path: Path, name: str, store: str) -> None:
    await play_apart(tmp_path, name, store, "redis")
