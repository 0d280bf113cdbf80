"""Seeds: none of them finds anything, and each repeats a run exactly."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from itertools import count
from typing import Final

import pytest

from tests.simulation.mutations import FOCUS, MUTATIONS
from tests.simulation.run import SimulationError
from tests.simulation.world import World

SEEDS: Final = int(os.environ.get("USERLINE_TEST_SEEDS", "2000"))
FIRST_SEED: Final = int(os.environ.get("USERLINE_TEST_FIRST_SEED", "0"))
_PARTS: Final = 8

_MOST_SEEDS: Final = 400
"""In how many seeds each mutation is found."""


@pytest.mark.parametrize("part", range(_PARTS))
def test_no_seed_finds_anything(part: int) -> None:
    for seed in range(FIRST_SEED + part, FIRST_SEED + SEEDS, _PARTS):
        World(seed).run()


def _digest(seeds: range) -> str:
    digest = hashlib.sha256()
    for seed in seeds:
        world = World(seed)
        world.run()
        digest.update("\n".join(world.trace).encode())
    return digest.hexdigest()


def test_a_seed_repeats_a_run_exactly() -> None:
    for seed in range(20):
        first, second = World(seed), World(seed)
        first.run()
        second.run()
        assert first.trace == second.trace, f"seed {seed}"


def test_a_seed_repeats_a_run_in_another_process() -> None:
    """Whatever Python's hashes are, which order its sets."""
    program = f"from {__name__} import _digest; print(_digest(range(20)))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


# A run that has found something is abandoned in the middle of everything.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_what_is_broken_is_found(mutation: str) -> None:
    with MUTATIONS[mutation]():
        for seed in count():
            assert seed < _MOST_SEEDS, f"{mutation}, and no seed has found it"
            try:
                World(seed, FOCUS.get(mutation)).run()
            except SimulationError:
                return
