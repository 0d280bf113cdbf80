"""Common options of the commands: a flag for each setting."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from userline.settings.field import group_of
from userline.settings.origins import flag_of, shown, variable_of
from userline.settings.problems import SettingsError, expected
from userline.settings.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")


class _SettingOption(click.Option):
    """The flag of a setting, under the heading of its group."""

    def __init__(self, *args: Any, group: str, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.group = group


class SettingsCommand(click.Command):
    """A command whose help has the settings in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group, and one for the rest."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record:
                group = parameter.group if isinstance(parameter, _SettingOption) else "Options"
                sections.setdefault(group, []).append(record)
        for group, records in sections.items():
            with formatter.section(group):
                formatter.write_dl(records, col_max=36)


def _metavar(field: FieldInfo) -> str:
    text = expected(field)
    if text.startswith("one of "):
        return "[" + text.removeprefix("one of ").replace(", ", "|") + "]"
    return "NUMBER" if "number" in text else "FILE" if "file" in text else "TEXT"


def takes_settings(command: Decorated) -> Decorated:
    """Give a command a flag for each setting, and ``--env-file``."""
    for name, field in reversed(Settings.model_fields.items()):
        flag = flag_of(name)
        is_switch = field.annotation is bool
        # Values stay strings here, so that all that is wrong is reported together, wherever it came from.
        command = click.option(
            f"{flag}/--no-{flag.removeprefix('--')}" if is_switch else flag,
            name,
            cls=_SettingOption,
            group=group_of(field),
            default=None,
            metavar=None if is_switch else _metavar(field),
            help=f"{field.description}  [default: {shown(field.default)}; env: {variable_of(name)}]",
        )(command)
    return click.option(
        "--env-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Read settings from this file instead of .env.",
    )(command)


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags that were given."""
    return {name: value for name, value in flags.items() if value is not None}


def load(env_file: Path | None, flags: dict[str, Any]) -> Settings:
    """Return the settings, or say what is wrong with them and end with exit code 2."""
    try:
        return load_settings(given(flags), env_file)
    except SettingsError as error:
        click.echo(error, err=True)
        sys.exit(2)
