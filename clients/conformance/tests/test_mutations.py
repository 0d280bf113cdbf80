"""Who breaks a line on purpose is found out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from clients.conformance.known import environment
from clients.conformance.mutations import ALWAYS, CHANCE_MUTATIONS, MUTATIONS, Mutation, apply, file_of
from clients.conformance.run import run
from clients.conformance.table import cases

if TYPE_CHECKING:
    from pathlib import Path

WANTED = MUTATIONS if os.environ.get("USERLINE_TEST_MUTATIONS") == "1" else MUTATIONS[:ALWAYS]


@pytest.mark.parametrize("mutation", WANTED, ids=str)
async def test_a_line_that_is_broken_on_purpose_fails_a_case_of_it(
    request: pytest.FixtureRequest, tmp_path: Path, mutation: Mutation
) -> None:
    started_by: list[str] = request.getfixturevalue(mutation.client)
    command, client = apply(mutation, tmp_path, started_by[0])
    wanted = [each for each in cases() if mutation.line in each.lines and "real" not in each.needs]
    report = await run(command, wanted, environment=environment(os.environ, client), stop_at_first=True)
    assert report.failed, "the cases of the line have noticed nothing"


@pytest.mark.parametrize("mutation", [*MUTATIONS, *(mutation for mutation, _ in CHANCE_MUTATIONS)], ids=str)
def test_what_is_to_be_broken_is_there(mutation: Mutation) -> None:
    assert file_of(mutation).read_text().count(mutation.before) == 1
    assert mutation.before != mutation.after
