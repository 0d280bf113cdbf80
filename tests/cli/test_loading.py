"""What a command loads: no more than it needs, so that it answers at once."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from userline.cli.main import userline

_REPORT = """
import json, sys
from userline.cli.main import userline
try:
    userline(sys.argv[1:], prog_name="userline")
except SystemExit as end:
    assert not end.code, end.code
finally:
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""

HEAVY = {"asyncpg", "broadcaster", "graphql", "jwt", "motor", "pydantic", "pymongo", "redis", "starlette", "strawberry"}


def loaded_by(*arguments: str) -> set[str]:
    """The packages that a command has loaded at its end."""
    ended = subprocess.run(
        [sys.executable, "-c", _REPORT, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(ended.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["-h"]])
def test_help_loads_nothing_of_the_gateway(arguments: list[str]) -> None:
    assert not loaded_by(*arguments) & HEAVY


@pytest.mark.parametrize(
    "arguments", [["settings"], ["settings", "--json"], ["backup", "--help"], ["export", "--help"]]
)
def test_commands_on_sqlite_load_no_other_driver(arguments: list[str]) -> None:
    assert not loaded_by(*arguments) & {"motor", "pymongo", "redis", "asyncpg"}


def test_every_command_can_be_loaded_and_has_help() -> None:
    context = click.Context(userline)
    for name in userline.list_commands(context):
        command = userline.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert command.help


def test_a_name_that_is_no_command_loads_nothing() -> None:
    assert userline.get_command(click.Context(userline), "serv") is None
