"""Both clients do the same in scripts that nobody wrote, and who breaks a line of one on purpose is found out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from clients.conformance.__main__ import main
from clients.conformance.chance.play import find
from clients.conformance.chance.script import script
from clients.conformance.known import environment
from clients.conformance.mutations import CHANCE_MUTATIONS, Mutation, apply

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = int(os.environ.get("USERLINE_TEST_SCRIPTS", "12"))


async def test_both_clients_do_the_same_in_scripts_by_chance(python: list[str], typescript: list[str]) -> None:
    known = environment(os.environ)
    commands = {"python": python, "typescript": typescript}
    found = await find(range(SEEDS), commands, {"python": known, "typescript": known})
    assert not found, "\n\n".join(f"seed {seed}:\n{fault}" for seed, fault in found.items())


@pytest.mark.parametrize(("mutation", "seed"), CHANCE_MUTATIONS, ids=str)
async def test_a_client_that_is_broken_on_purpose_is_found_out(
    request: pytest.FixtureRequest, tmp_path: Path, mutation: Mutation, seed: int
) -> None:
    started_by: list[str] = request.getfixturevalue(mutation.client)
    other = "typescript" if mutation.client == "python" else "python"
    command, client = apply(mutation, tmp_path, started_by[0])
    commands = {mutation.client: command, other: request.getfixturevalue(other)}
    known = {mutation.client: environment(os.environ, client), other: environment(os.environ)}
    assert await find([seed], commands, known), "the script of this seed has noticed nothing"


def test_a_seed_is_a_script() -> None:
    assert script(1) == script(1) != script(2)


def test_the_command_line(capsys: pytest.CaptureFixture[str], python: list[str], typescript: list[str]) -> None:
    beside = " ".join(typescript)
    assert main(["--driver", " ".join(python), "--random", "1", "--from", "22", "--beside", beside]) == 0
    assert capsys.readouterr().out == "seed 22: passed\n\n1 passed, 0 failed\n"
