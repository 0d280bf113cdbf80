"""Which scenarios are played on which stores and buses, and what must come of them."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from tests.chaos.deployment import Deployment, deployed
from tests.chaos.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

LONG: Final = os.environ.get("USERLINE_TEST_LONG") == "1"
EDITS: Final = 50 if LONG else 20
"""How often each of 20 users is edited."""
PLAYED: Final = [name for name in SCENARIOS if LONG or name not in ("bus dead for 10 s", "bus dead for 60 s")]
PLAIN: Final = [name for name in PLAYED if SCENARIOS[name].is_plain]
"""Those for which one deployment will do, one after the other."""
OTHERS: Final = [name for name in PLAYED if not SCENARIOS[name].is_plain]


@asynccontextmanager
async def plain_deployment(directory: Path, bus: str) -> AsyncIterator[Deployment]:
    """Start what the plain scenarios are played on."""
    async with deployed(directory, "sqlite", reread_seconds=20, bus=bus) as deployment:
        yield deployment


async def play(name: str, deployment: Deployment) -> None:
    """Play a scenario: every watcher sees every user's edits in order, and the last of them soon."""
    scenario = SCENARIOS[name]
    deployment.edits = EDITS
    if deployment.neighbour is not None:
        deployment.neighbour.edits = EDITS
    outcome = await scenario.play(deployment)
    # Wide enough for a machine that does other things as well; `make chaos` holds it to what is promised.
    assert (outcome.resumed or 0) < 5
    assert outcome.converged < scenario.within + 3


async def play_apart(directory: Path, name: str, store: str, bus: str) -> None:
    """Play a scenario on a deployment of its own."""
    async with SCENARIOS[name].deployed(directory, store, bus) as deployment:
        await play(name, deployment)
