"""The ``userline`` command."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import click

from userline import __version__
from userline.cli.backup import backup
from userline.cli.delete_users import delete_users
from userline.cli.doctor.command import doctor
from userline.cli.export_users import export_users
from userline.cli.import_users import import_users
from userline.cli.options import SettingsCommand, load, takes_settings
from userline.settings.settings import settings_warnings
from userline.settings.table import to_json, to_markdown, to_text
from userline.storage.protocol import StoreFormatError
from userline.telemetry.logs import configure_logging
from userline.users.errors import UserlineError
from userline.users.patch import parse_id

logger = logging.getLogger("userline")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
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
      userline token --user alice             a token for development, signed with USERLINE_SECRET
      userline schema > schema.graphql        the API, for code generators
    """  # noqa: D301 - click's mark of a paragraph to leave as it is


@userline.command(cls=SettingsCommand, short_help="Serve GraphQL over HTTP and WebSocket.")
@takes_settings
def serve(env_file: Path | None, **flags: Any) -> None:
    """Serve GraphQL over HTTP and WebSocket at /graphql, until SIGINT or SIGTERM.

    A setting comes from its flag, else from its environment variable, else from the .env file, else it is the default.
    "userline settings" shows what is set, and by what.

    \b
    Examples:
      userline serve
      userline serve --store-url sqlite:////var/lib/userline/userline.db
      userline serve --roles roles.json --default-locale pt-BR
    """  # noqa: D301 - click's mark of a paragraph to leave as it is
    settings = load(env_file, flags)
    configure_logging(settings.log_format, settings.log_level)
    for warning in settings_warnings(settings):
        logger.warning("%s", warning)

    from userline.execution.trusted import TrustedDocumentsError  # noqa: PLC0415 - the other commands need none of it
    from userline.gateway import server  # noqa: PLC0415 - the other commands need none of it
    from userline.gateway.auth.outgoing import OutgoingError  # noqa: PLC0415 - the other commands need none of it

    try:
        server.serve(settings)
    except (UserlineError, StoreFormatError, TrustedDocumentsError, OutgoingError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(_sentence(error)) from error
    except KeyboardInterrupt:
        sys.exit(130)


@userline.command("settings", cls=SettingsCommand, short_help="Print what is set, and by what.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the reference of all settings: docs/settings.md.")
@takes_settings
def show_settings(env_file: Path | None, *, as_json: bool, as_markdown: bool, **flags: Any) -> None:
    """Print every setting with its value, where that came from, and its meaning; passwords hidden.

    Takes the flags of "userline serve", to see what they would do. Ends with exit code 2 if the settings are not valid.
    """
    if as_markdown:
        click.echo(to_markdown(), nl=False)
        return
    settings = load(env_file, flags)
    click.echo(to_json(settings) if as_json else to_text(settings), nl=False)
    for warning in settings_warnings(settings):
        click.echo(f"Warning: {warning}", err=True)


@userline.command(short_help="Make a token for development.")
@click.option("--user", "user_id", metavar="ID", help="Make a token of the user with this id.")
@click.option("--app", "for_app", is_flag=True, help="Make a token of the app, as a back end has it.")
@click.option("--expires", default="1h", show_default=True, help="How long it is good: a number and s, m, h or d.")
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read settings from this file instead of .env.",
)
def token(user_id: str | None, *, for_app: bool, expires: str, env_file: Path | None) -> None:
    """Print a token that is signed with the first secret, with the iss and aud that the settings ask for.

    \b
    Examples:
      userline token --user alice
      userline token --app --expires 5m
    """  # noqa: D301 - click's mark of a paragraph to leave as it is
    from userline.gateway.auth.minting import mint_for, parse_duration  # noqa: PLC0415 - the other commands need none of it

    if (user_id is None) is not for_app:
        raise click.UsageError("Say whose token it is: --user ID or --app.")
    try:
        seconds = parse_duration(expires)
        user_id = None if user_id is None else parse_id(user_id)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None
    except UserlineError as error:
        raise click.BadParameter(error.message, param_hint="--user") from None
    settings = load(env_file, {})
    if not settings.secrets:
        raise click.ClickException("There is no secret to sign it with: set USERLINE_SECRET.")
    click.echo(mint_for(settings, user_id=user_id, seconds=seconds))


@userline.command(short_help="Print the GraphQL schema.")
def schema() -> None:
    """Print the GraphQL schema in the schema definition language."""
    from userline.schema.sdl import print_schema  # noqa: PLC0415 - the other commands need none of it

    click.echo(print_schema(), nl=False)


for command in (backup, delete_users, doctor, export_users, import_users):
    userline.add_command(command)


def main() -> None:
    """Run the command. The entry point of the program."""
    userline(prog_name="userline")


def _sentence(error: OSError) -> str:
    if error.strerror is None:
        return str(error) or type(error).__name__
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
