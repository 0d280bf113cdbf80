"""The settings in three formats: text, JSON, and the page ``docs/settings.md``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import SecretStr

from userline.settings.field import group_of, reloads
from userline.settings.origins import flag_of, shown, variable_of
from userline.settings.problems import expected
from userline.settings.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

_RELOADED = " (Reloaded by SIGHUP.)"

_INTRODUCTION = """\
# Settings

<!-- Written by `make settings-docs`; its text is in settings/table.py. -->

The value of a setting is taken from the first of these that is present: the flag of `userline serve`, the environment
variable, the line in an `.env` file, the default. An empty variable counts as not set. The `.env` file is the one in
the working directory; `--env-file FILE` names another one.

- `userline settings` prints every setting with its value, where the value came from, and its meaning. `--json` prints
  the same for programs. It takes the flags of `userline serve`, to show what they would do.
- All settings are checked together before anything starts. If they are not valid, the command prints everything that
  is wrong and ends with exit code 2.
- A line of the `.env` file that names a setting and cannot be read is an error. Examples are `USERLINE_SECRET: x`, and
  a value without its closing quote. If such a line were ignored, a gateway might run without its secret. Lines that
  name no setting are ignored, because other programs may use them.
- In a value of the `.env` file, `${NAME}` is replaced by a variable of the environment or of a line above, also between
  quotes. If there is no such variable, that is an error. `${NAME:-}` is replaced by nothing in that case.
- A `USERLINE_*` variable that is not a setting is a warning, not an error: Kubernetes sets such variables in every
  pod of a namespace that has a service named `userline`. One of them, `USERLINE_PORT=tcp://…`, has the name of a
  setting and is refused. `enableServiceLinks: false` in the pod's spec prevents it.

## Values in files

`USERLINE_SECRET_FILE`, `USERLINE_SECOND_SECRET_FILE`, `USERLINE_STORE_URL_FILE` and `USERLINE_BUS_URL_FILE` name files
with the value, so that it is not in the environment. Setting both the value and its file is an error. A file of secrets
may have several, one per line. Files are read at start-up. Files of secrets are read again at a reload.

## What is reloaded while the gateway runs

On SIGHUP a running gateway reads its settings again. SIGHUP never stops it. Settings that are marked "reloaded" below
get their new values at once, in all workers. Other settings keep their values; if they have changed, the log names them
and says "It needs a restart". If one value is not valid, nothing is changed at all, and the log has the same
message as at start-up.

Flags and environment variables of a running process cannot be changed, and they override the `.env` file. So put what
you want to change at run time into the `.env` file or into files of secrets.
[Operations](operations/README.md#reloading) has the steps.

## What is refused

Without `USERLINE_SECRET` and `USERLINE_JWKS_URL` the gateway runs open: everybody who can reach it may read and write
every user. To prevent that from happening by mistake, an open gateway does not start

- on an address other than loopback, unless `USERLINE_ALLOW_OPEN=true` allows it;
- with `USERLINE_ENV=production`.

In production a gateway does not start either

- with a secret that has less than 32 bytes, or repeats a few characters; of several secrets, each is checked;
- with a JWKS URL that is neither https nor on this machine;
- with `USERLINE_ALLOW_OPEN=true`.

In development it starts with such a secret, and warns of it in the log.

No gateway starts with both a secret and a JWKS URL, or with more than one worker on the bus `memory://`, because the
workers would not receive each other's changes. [SECURITY.md](../SECURITY.md) explains tokens and what they allow.

## Roles

`USERLINE_ROLES` names a JSON file with an object. Its keys are the names of roles, and its values are objects of
settings that frontends read. There must be a role `default`, which is the role of users who have no other one. With
this setting, users can have only these roles. The file is read once, at start-up, and not at a reload.

```json
{
  "default": {},
  "agent": { "canExport": true, "theme": "dark" }
}
```
"""


def to_text(settings: Settings) -> str:
    """Return every setting with its value, source and meaning."""
    places = settings.origins.of_fields
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
    places = settings.origins.of_fields
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
