"""docs/typed-clients.md: its recipes are parts of programs that run, and its table has every scalar."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/typed-clients.md").read_text()
RECIPES = re.findall(r"```\w+\n(?://|#) (tests/outside/\S+)\n(.*?)\n```", PAGE, re.DOTALL)


def parts(text: str, length: int) -> set[str]:
    """Return every part of so many lines, without what they are all indented by."""
    lines = text.splitlines()
    return {textwrap.dedent("\n".join(lines[at : at + length])) for at in range(len(lines) - length + 1)}


def test_there_is_a_recipe_for_each_client() -> None:
    clients = {path.split("/")[2] for path, _ in RECIPES}
    assert clients == {"genqlient", "cynic", "apollo-kotlin", "jackson", "rest-go", "spring"}


@pytest.mark.parametrize(("path", "recipe"), RECIPES)
def test_a_recipe_is_part_of_a_program_that_runs(path: str, recipe: str) -> None:
    assert textwrap.dedent(recipe) in parts((ROOT / path).read_text(), len(recipe.splitlines())), path


def test_every_scalar_has_a_type_in_each_language() -> None:
    scalars = re.findall(r"^scalar (\w+)", (ROOT / "schema/schema.graphql").read_text(), re.MULTILINE)
    assert len(scalars) >= 3
    for scalar in scalars:
        (row,) = re.findall(rf"^\| `{scalar}` .*", PAGE, re.MULTILINE)
        assert len(re.findall(r"(?<!\\)\|", row)) == 8, row
