"""Where the value of each setting came from, and how messages name a setting."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX: Final = "USERLINE_"

FILE: Final = "file"
"""Where a value came from that a file has."""

SECRETS: Final = ("secret", "second_secret")
"""The settings that nobody may see."""

_KUBERNETES = re.compile(r"USERLINE_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_PASSWORD = re.compile(r"(://[^:@/]*:).*@")
_PASSWORD_OPTION = re.compile(r"(password=)[^&]*", re.IGNORECASE)


def variable_of(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def flag_of(name: str) -> str:
    """Return the command-line flag of a setting."""
    return "--" + name.replace("_", "-")


@dataclass(frozen=True)
class Origins:
    """Where each field's value came from, the other ``USERLINE_*`` variables with where they stand, and other flags."""

    of_fields: dict[str, str]
    others: dict[str, str]
    other_flags: tuple[str, ...]

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        flags: Mapping[str, object],
        named: Sequence[tuple[str, Mapping[str, str | None]]],
    ) -> Origins:
        """Return the origins of the settings ``names``; ``named`` are the places after flags, first one first."""
        of_fields = dict.fromkeys(names, "default")
        others: dict[str, str] = {}
        for place, variables in reversed(named):
            for lower in variables:
                variable = lower.upper()
                name = variable.removeprefix(PREFIX).lower()
                if name in of_fields and variable.startswith(PREFIX):
                    of_fields[name] = place
                elif variable.startswith(PREFIX) and not variable.startswith(f"{PREFIX}TEST_"):
                    others[variable] = place
        of_fields.update((name, "flag") for name in names if name in flags)
        return cls(of_fields, others, tuple(name for name in flags if name not in of_fields))

    def warnings(self, known: Sequence[str]) -> list[str]:
        """Return a sentence for each variable that means nothing, those that Kubernetes sets taken together."""
        unknown = sorted(self.others)
        injected = [variable for variable in unknown if _KUBERNETES.fullmatch(variable)]
        found = []
        for variable in unknown:
            if variable not in injected:
                close = difflib.get_close_matches(variable, known, n=1, cutoff=0.75)
                hint = f" Did you mean {close[0]}?" if close else ""
                found.append(f"{variable} ({self.others[variable]}) is not a setting and has no effect.{hint}")
        if injected:
            found.append(
                f"{', '.join(injected)}: Kubernetes sets such variables for a service named userline. They have no "
                "effect. To avoid them, set enableServiceLinks: false in the pod's spec."
            )
        return found


def shown(value: object) -> str:
    """Return ``value`` as people may see it, secrets and passwords in URLs hidden."""
    if value is None:
        return "none"
    if isinstance(value, SecretStr):
        return "***"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return _PASSWORD_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1***@", str(value)))


def describe(name: str, value: object, origins: Origins) -> str:
    """Return the sentence that says what a setting is and where that came from."""
    place = origins.of_fields[name]
    if place == "flag":
        place = f"flag {flag_of(name)}"
    if place == FILE:
        place = f"file of {variable_of(name)}_FILE"
    hidden = "***" if name in SECRETS or origins.of_fields[name] == FILE else shown(value)
    text = repr(hidden) if isinstance(value, str) else hidden
    return f"{variable_of(name)} is {text} ({place})."
