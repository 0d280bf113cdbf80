"""Messages about settings that are not valid."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import annotated_types
from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic.fields import FieldInfo

_SERVICE_URL: Final = re.compile(r"(tcp|udp|sctp)://\S+")


class SettingsError(Exception):
    """The settings are not valid. ``problems`` has a sentence for each thing that is wrong; ``str`` is all of them.

    ``log_format`` is the one that they ask for, as far as they can be understood.
    """

    def __init__(self, problems: Iterable[str], log_format: str | None = None) -> None:
        self.problems = tuple(problems)
        self.log_format = log_format
        super().__init__("\n".join(["The settings are not valid:", *(f"  - {problem}" for problem in self.problems)]))


def expected(field: FieldInfo) -> str:
    """Return what the values of a field are: "a whole number from 0 to 65535"."""
    kind = field.annotation
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if kind is bool:
        return "true or false"
    names: dict[Any, str] = {int: "a whole number", float: "a number", str: "a string"}
    names |= {str | None: "a string", SecretStr | None: "a string, at least 32 bytes in production"}
    bounds: dict[type, Any] = {type(bound): bound for bound in field.metadata}
    what = names.get(kind, "a path")
    least, above, most = (bounds.get(one) for one in (annotated_types.Ge, annotated_types.Gt, annotated_types.Le))
    if least and most:
        return f"{what} from {least.ge} to {most.le}"
    if above:
        return f"{what} greater than {above.gt}"
    return f"{what}, at least {least.ge}" if least else what


def explain_port(value: object) -> str | None:
    """Return what a port such as ``tcp://10.0.0.1:8000`` comes from, or None."""
    if not _SERVICE_URL.fullmatch(str(value)):
        return None
    return (
        "Kubernetes sets this variable for a service named userline. Set enableServiceLinks: false in the pod's spec, "
        "give the service another name, or pass --port."
    )
