"""Reloading: which settings take new values while a gateway runs, and which need a restart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from userline.settings.field import reloads
from userline.settings.origins import SECRETS, describe, shown, variable_of
from userline.settings.problems import SettingsError
from userline.settings.settings import Settings, load_settings
from userline.settings.together import check_together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ENV_FILE = Path(".env")


class NewValues(NamedTuple):
    """The new values that a running gateway takes."""

    names: tuple[str, ...]
    """The settings that it takes, which may be none."""
    settings: Settings
    """What was read, from which it takes them."""


def reader(flags: Mapping[str, Any], env_file: Path | None) -> Callable[[], Settings]:
    """Return what reads the settings again from where they came from. It raises SettingsError.

    The ``.env`` file has to be there if it was there: while it is replaced by another it must not look as if nothing
    were set.
    """
    path = env_file or _ENV_FILE
    was_there = path.is_file()

    def read() -> Settings:
        nonlocal was_there
        if was_there and not path.is_file():
            raise SettingsError([f"{path} does not exist any more. Put it back, and send SIGHUP again."])
        was_there = path.is_file()
        return load_settings(flags, path)

    return read


def compare(now: Settings, newer: Settings) -> tuple[NewValues, list[str]]:
    """Return what a gateway with the settings ``now`` takes of ``newer``, and a sentence for each that it does not.

    Raises SettingsError if what it has and what it takes cannot be together.
    """
    changed = [name for name in Settings.model_fields if _value(now, name) != _value(newer, name)]
    left = {name for name in changed if not reloads(Settings.model_fields[name])}
    if now.is_open != newer.is_open or bool(now.secrets) != bool(newer.secrets):
        # Whether tokens are checked, and by what, is settled at the start; so is the rate limit that follows from it.
        left |= {name for name in changed if name.removesuffix("_file") in SECRETS}
        left |= {name for name in changed if name == "rate_limit_per_second" and _is_default(newer, name)}
    names = tuple(name for name in changed if name not in left)
    merged = now.model_copy(deep=True)
    merged.update_from(names, newer)
    problems = check_together(merged, {name: merged.secrets_of(name) for name in SECRETS}, merged.origins, frozenset())
    if problems:
        raise SettingsError(problems)
    return NewValues(names, newer), [_needs_restart(name, now, newer) for name in changed if name in left]


def describe_new(values: NewValues) -> list[str]:
    """Return a sentence for each setting that is taken, secrets hidden."""
    return [_describe(name, values.settings) for name in values.names]


def _needs_restart(name: str, now: Settings, newer: Settings) -> str:
    sentence = _describe(name, newer)
    before, after = shown(getattr(now, name)), shown(getattr(newer, name))
    stays = f"; until then it stays {before}" if before != after else ""
    return f"{sentence} It needs a restart{stays}."


def _describe(name: str, settings: Settings) -> str:
    value = getattr(settings, name)
    return f"{variable_of(name)} is not set." if value is None else describe(name, value, settings.origins)


def _value(settings: Settings, name: str) -> object:
    if name in SECRETS:
        return settings.secrets_of(name)
    if name == "roles":
        return settings.roles, settings.app_roles
    return getattr(settings, name)


def _is_default(settings: Settings, name: str) -> bool:
    return settings.origins.of_fields[name] == "default"
