"""The ``userline`` command. Each command's module is loaded when it is needed.

A command brings what it needs, some of them the whole gateway: ``userline --help`` brings none of it.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Final

import click

from userline import __version__
from userline.server.hang_ups import HangUps

_STANDARD_ERROR: Final = 2

# Each command: the module and the name in it, and what the list of commands says of it.
_COMMANDS: Final = {
    "backup": ("backup", "backup", "Copy the SQLite store into a file, while gateways run."),
    "delete": ("delete_users", "delete_users", "Delete users permanently."),
    "doctor": ("doctor.command", "doctor", "Find problems of this installation, and say what to do."),
    "export": ("export_users", "export_users", "Write all users into a file."),
    "import": ("import_users", "import_users", "Write the users of a file into the store."),
    "schema": ("schema", "schema", "Print the GraphQL schema."),
    "serve": ("serve", "serve", "Serve GraphQL over HTTP and WebSocket."),
    "settings": ("show_settings", "show_settings", "Print all settings, and where each is set."),
    "token": ("token", "token", "Create a token for development."),
}


class _Commands(click.Group):
    """Commands whose modules are loaded when they are needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load a command, or return None if there is none of this name."""
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name == "serve":
            HangUps.ignore()  # loading takes a while, and SIGHUP is to end no gateway
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"userline.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - likewise
        """Write the list of commands, without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, _, says) in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="userline")
def userline() -> None:
    """A GraphQL gateway for user profiles: batched reads, atomic patches, live changes.

    \b
    Examples:
      userline serve                          serve on http://127.0.0.1:8000/graphql
      userline serve --port 9000 --log-format json
      USERLINE_PORT=9000 userline settings    what is set, and by what
      userline doctor                         what is wrong here, and what to do
      userline backup userline-backup.db      a copy of the SQLite store, while gateways run
      userline export users.jsonl             all users, for another store or to be read
      userline delete alice                   a user, for good
      userline token --user alice             a token for development, signed with USERLINE_SECRET
      userline schema > schema.graphql        the API, for code generators
    """  # noqa: D301 - click's mark of a paragraph to leave as it is


def main() -> None:
    """Run the command. The entry point of the program."""
    _take_standard_numbers()
    try:
        userline(prog_name="userline")
    except OSError as error:
        # The commands tell of what goes wrong with files and connections; what is left is what they print.
        click.echo(f"Error: The output cannot be written: {error.strerror or error}.", err=True)
        sys.stdout = None  # or the interpreter complains of it as it ends
        sys.exit(1)


def _take_standard_numbers() -> None:
    """Open to nowhere the standard streams that are closed: a file or socket with such a number ends libuv.

    That they were closed is still to be seen: ``sys.stdin`` and ``sys.stdout`` are None.
    """
    for number in range(_STANDARD_ERROR + 1):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(number, True)
    if sys.stderr is None:
        sys.stderr = open(_STANDARD_ERROR, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
