"""Several gateways that meet on PostgreSQL: edits reach every watcher in order, whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from tests.chaos.scenarios import SCENARIOS
from tests.gateway.many.playing import OTHERS, PLAIN, plain_deployment, play, play_apart

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.chaos.deployment import Deployment

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    async with plain_deployment(tmp_path_factory.mktemp("many"), "postgres") as deployment:
        yield deployment


@pytest.mark.parametrize("name", PLAIN)
async def test_edits_reach_every_watcher_in_order(deployment: Deployment, name: str) -> None:
    await play(name, deployment)


@pytest.mark.parametrize(
    "name", [name for name in OTHERS if not SCENARIOS[name].replica and SCENARIOS[name].store == "sqlite"]
)
async def test_edits_reach_every_watcher_of_a_deployment_of_its_own(tmp_path: Path, name: str) -> None:
    await play_apart(tmp_path, name, "sqlite", "postgres")
