"""Names for a graph in which somebody else has types of the same ones."""

from __future__ import annotations

import re

import pytest
from graphql import build_schema

from userline.schema.federation import print_subgraph
from userline.schema.sdl import make_schema, print_schema

COMMON = ("App", "Role", "RoleSettings", "Custom", "PushTokens")


def names_of(sdl: str) -> set[str]:
    return set(re.findall(r"^(?:type|scalar|input|union) (\w+)", sdl, re.MULTILINE))


@pytest.mark.parametrize("prefix", ["Userline", "X", "A1"])
def test_common_names_have_the_prefix_and_others_do_not(prefix: str) -> None:
    plain, prefixed = names_of(print_subgraph()), names_of(print_subgraph(prefix))
    assert prefixed == {prefix + name if name in COMMON else name for name in plain}
    assert all("User" in name or name in ("Query", "Mutation", "Subscription") for name in plain - set(COMMON))
    build_schema(print_schema(prefix))


def test_a_prefix_changes_no_other_schema() -> None:
    make_schema("X")
    assert "X" not in {name[0] for name in names_of(print_schema()) | names_of(print_subgraph())}
