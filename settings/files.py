"""Values from files: secrets, and URLs with passwords, so that they need not be in the environment.

A file is read when the gateway starts, and at each reload. Its last line break counts for nothing. One of secrets may
have several, one a line; one of a URL has one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from userline.settings.origins import FILE, describe, variable_of

if TYPE_CHECKING:
    from userline.settings.origins import Origins

_SETTINGS: Final = ("secret", "second_secret", "store_url", "bus_url")
"""The settings that a file may have in their place, which has the name of the setting and ``_file``."""

_OF_MANY: Final = ("secret", "second_secret")
_MOST_LINES: Final = 10
_MOST_BYTES: Final = 65_536


class FromFiles(NamedTuple):
    """The values in the files."""

    lines: dict[str, list[str]]
    """The lines by the setting that they are for."""
    problems: dict[str, str]
    """What is wrong, by the setting that names the file."""


def read_files(values: dict[str, Any], origins: Origins) -> FromFiles:
    """Put what the files have that ``values`` name into ``values``, and return all of it."""
    found = FromFiles({}, {})
    for name in _SETTINGS:
        named_by = f"{name}_file"
        path = values.get(named_by)
        if not path:
            continue
        try:
            _check_alone(name, origins)
            lines = _read(str(path), most=_MOST_LINES if name in _OF_MANY else 1)
        except ValueError as error:
            found.problems[named_by] = f"{describe(named_by, str(path), origins)} {error}"
        else:
            found.lines[name] = lines
            values[name] = lines[0]
            origins.of_fields[name] = FILE
    return found


def _check_alone(name: str, origins: Origins) -> None:
    """Raise ValueError if a setting has a value beside that of its file."""
    if origins.of_fields[name] != "default":
        raise ValueError(
            f"{variable_of(name)} ({origins.of_fields[name]}) is set too: unset one of them, because only one may be "
            "set."
        )


def _read(path: str, *, most: int) -> list[str]:
    """Return the lines of a file that are not empty. Raises ValueError, whose text is a sentence."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a Path would take "" for the working directory
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"The file cannot be read: {error.strerror or error}.") from None
    except ValueError:
        raise ValueError("It is not the path of a file.") from None
    if len(content) > _MOST_BYTES:
        raise ValueError(f"The file is larger than {_MOST_BYTES} bytes.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("The file is not UTF-8.") from None
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    lines = [line for line in lines if line.strip()]
    if not lines:
        raise ValueError("The file is empty.")
    if len(lines) > most:
        raise ValueError(
            f"The file must have {'one line' if most == 1 else f'at most {most} lines'}, not {len(lines)}."
        )
    return lines
