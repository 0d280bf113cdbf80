"""``userline token``."""

from __future__ import annotations

from pathlib import Path

import click

from userline.cli.options import load
from userline.gateway.auth.minting import mint_for, parse_duration
from userline.settings.settings import weak_secrets
from userline.users.errors import UserlineError
from userline.users.patch import parse_id


@click.command()
@click.option("--user", "user_id", metavar="ID", help="Create a token of the user with this id.")
@click.option("--app", "for_app", is_flag=True, help="Create a server token, as back ends use it.")
@click.option(
    "--expires", default="1h", show_default=True, help="How long the token is valid: a number and s, m, h or d."
)
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
    if (user_id is None) is not for_app:
        raise click.UsageError("Give the kind of token: --user ID or --app.")
    try:
        seconds = parse_duration(expires)
        user_id = None if user_id is None else parse_id(user_id)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None
    except UserlineError as error:
        raise click.BadParameter(error.message, param_hint="--user") from None
    settings = load(env_file, {})
    if not settings.secrets:
        raise click.ClickException("There is no secret to sign the token with: set USERLINE_SECRET.")
    for warning in weak_secrets(settings):
        click.echo(f"Warning: {warning}", err=True)
    click.echo(mint_for(settings, user_id=user_id, seconds=seconds))
