"""The settings as people and programs read them: a text, a JSON object, and the page ``docs/settings.md``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import SecretStr

from userline.settings.field import group_of, reloads
from userline.settings.origins import flag_of, shown, variable_of
from userline.settings.problems import expected
from userline.settings.settings import Settings, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

_RELOADED = " (Reloaded by SIGHUP.)"

_INTRODUCTION = """\
# Settings

<!-- Written by `make settings-docs`; its text is in settings/table.py. -->

A setting has a flag of `userline serve`, an environment variable, a line in an `.env` file, and a default. The first
of these that is there counts, in this order. An empty variable counts as one that is not set. `--env-file FILE` reads
another file than `.env` in the working directory.

- `userline settings` prints every setting with its value, where that came from, and its meaning; `--json` for
  programs. It takes the flags of `userline serve`, to see what they would do.
- All settings are checked together before anything starts. If they are not valid, the command prints everything that
  is wrong and ends with exit code 2.
- A line of the `.env` file that names a setting and cannot be read, such as `USERLINE_SECRET: x` or a value whose quote
  does not end, is refused: passed over, a secret would be no secret. `${NAME}` in a value, between quotes too, stands
  for a variable of the environment or of a line above, and is refused if there is none; `${NAME:-}` may be missing. The
  lines of other programs are theirs.
- A `USERLINE_*` variable that is not a setting is a warning, not an error: Kubernetes sets such variables in every
  pod of a namespace that has a service named `userline`. One of them, `USERLINE_PORT=tcp://…`, collides with a
  setting and is refused; `enableServiceLinks: false` in the pod's spec keeps them away.

## Values in files

`USERLINE_SECRET_FILE`, `USERLINE_SECOND_SECRET_FILE`, `USERLINE_STORE_URL_FILE` and `USERLINE_BUS_URL_FILE` name files
with the value, so that no environment has to have it; a value and its file at once are refused. A file of secrets may
have several, one a line. Files are read at start-up, and those of secrets again at a reload.

## What is reloaded while the gateway runs

SIGHUP has a running gateway read its settings again, and never ends it. What is marked "reloaded" below takes its new
value at once, in all workers; what else has changed is named in the log with "it needs a restart", and stays. A value
that is not valid changes nothing at all: the log says what start-up would say. The environment and the flags of a
process cannot be changed from outside, and count before the `.env` file as ever: what is to be changed while a gateway
runs stands in the `.env` file, or in the files of secrets. [operations](operations/README.md#reloading) has the steps.

## What is refused

Without `USERLINE_SECRET` and `USERLINE_JWKS_URL` the gateway runs open: everybody who reaches it may read and write
every user. To prevent that from happening by mistake, an open gateway does not start

- on an address other than loopback, unless `USERLINE_ALLOW_OPEN=true` says that this is meant;
- with `USERLINE_ENV=production`.

In production it does not start with a secret (of several, any) of less than 32 bytes or one that can be guessed, with a
JWKS URL without https, or with `USERLINE_ALLOW_OPEN=true` either; and nowhere with both a secret and a JWKS URL. In
development it starts with such a secret, and warns of it in the log.
[SECURITY.md](../SECURITY.md) has what tokens are and what they allow.

It does not start with more than one worker on the `memory://` bus either, because the workers would not hear of each
other's changes.

## Roles

`USERLINE_ROLES` names a JSON file with an object: each role's name, and an object of settings for frontends to go by.
It must have the role `default`, which is the role of users who have no other. Users can then have these roles only.
The file is read once, at start-up, and not at a reload.

```json
{
  "default": {},
  "agent": { "canExport": true, "theme": "dark" }
}
```
"""


def to_text(settings: Settings) -> str:
    """Return every setting with its value, source and meaning."""
    places = sources(settings)
    variables = max(len(variable_of(name)) for name in places)
    values = max(len(shown(getattr(settings, name))) for name in places)
    lines = []
    for group, members in _groups():
        lines.append(group)
        for name, field in members:
            value = shown(getattr(settings, name))
            lines.append(f"  {variable_of(name):{variables}}  {value:{values}}  {places[name]}")
            lines.append(f"      {field.description}{_RELOADED if reloads(field) else ''}")
        lines.append("")
    return "\n".join(lines)


def to_json(settings: Settings) -> str:
    """Return an object with each setting's variable, value, source and meaning by its name."""
    places = sources(settings)
    described = {
        name: {
            "variable": variable_of(name),
            "value": _plain(getattr(settings, name)),
            "source": places[name],
            "meaning": field.description,
            "reloads": reloads(field),
        }
        for name, field in Settings.model_fields.items()
    }
    return orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


def to_markdown() -> str:
    """Return the reference of all settings: what goes for all of them, and a table for each group, of defaults."""
    lines = [_INTRODUCTION]
    for group, members in _groups():
        lines += [
            f"## {group}",
            "",
            "| variable | flag | values | default | reloaded | meaning |",
            "|---|---|---|---|---|---|",
        ]
        for name, field in members:
            cells = (
                f"`{variable_of(name)}`",
                f"`{flag_of(name)}`",
                expected(field),
                f"`{shown(field.default)}`",
                "yes" if reloads(field) else "",
                f"{field.description}",
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines[:-1]) + "\n"


def _groups() -> Iterator[tuple[str, list[tuple[str, FieldInfo]]]]:
    for group, members in groupby(Settings.model_fields.items(), key=lambda item: group_of(item[1])):
        yield group, list(members)


def _plain(value: Any) -> Any:
    return shown(value) if isinstance(value, str | Path | SecretStr) else value
