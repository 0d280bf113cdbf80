"""``userline settings``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from userline.cli.options import SettingsCommand, load, takes_settings
from userline.settings.settings import settings_warnings
from userline.settings.table import to_json, to_markdown, to_text

if TYPE_CHECKING:
    from pathlib import Path


@click.command("settings", cls=SettingsCommand)
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
