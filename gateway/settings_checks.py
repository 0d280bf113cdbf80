"""The checks of the settings, each with the sentence that says what to do."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin

import annotated_types
import orjson
from pydantic import SecretStr

from userline.changes import backends, channels
from userline.gateway.settings_origins import describe
from userline.gateway.settings_tokens import check_tokens, check_url, normal_origin
from userline.gateway.tracing.setup import is_installed
from userline.storage import factory
from userline.users import validation
from userline.users.rules import DEFAULT_ROLE, MAX_ROLE_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydantic.fields import FieldInfo

    from userline.gateway.settings import Settings
    from userline.gateway.settings_origins import Origins

OPEN_ROLES: Final[dict[str, dict[str, Any]]] = {DEFAULT_ROLE: {}}
"""The roles of an app that has no file of roles."""

MAX_PORT: Final = 65_535
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://\S+")
_APP_ID = re.compile(r"[A-Za-z0-9._~-]{1,255}")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")


class SettingsError(Exception):
    """The settings are not valid. ``problems`` has a sentence for each thing that is wrong; ``str`` is all of them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
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
    what = names.get(kind, "the path of a file")
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


def check_host(value: str) -> str:
    """An IP address or a host name."""
    if _ip(value) is None and not _HOST_NAME.fullmatch(value):
        raise ValueError("It must be an IP address or a host name, such as 127.0.0.1 or ::1, without a port.")
    return value


def check_address(value: str | None) -> str | None:
    """A host and a port."""
    if value is not None:
        host, port = split_address(value)
        check_host(host)
        if not port.isascii() or not port.isdigit() or int(port[:6]) > MAX_PORT:
            raise ValueError(
                f"It must be HOST:PORT, such as 127.0.0.1:9100 or [::1]:9100, with a port up to {MAX_PORT}."
            )
    return value


def split_address(value: str) -> tuple[str, str]:
    """Return the host and the port of an address such as ``[::1]:9100``."""
    host, _, port = value.rpartition(":")
    return (host[1:-1] if host.startswith("[") and host.endswith("]") else host), port


def check_jwks_url(value: str | None) -> str | None:
    """The http(s) URL of a set of keys."""
    if value is not None:
        check_url(value)
    return value


def check_origins(value: str | None) -> str | None:
    """Origins as browsers send them, separated by commas, in one spelling."""
    return ",".join(normal_origin(part.strip()) for part in value.split(",")) if value else None


def check_proxies(value: str | None) -> str | None:
    """IP addresses and networks, separated by commas."""
    parts = [part.strip() for part in value.split(",")] if value else []
    for part in parts:
        try:
            ipaddress.ip_network(part)
        except ValueError:
            raise ValueError(
                "It must be IP addresses or networks, separated by commas, such as 10.0.0.5,192.168.0.0/16."
            ) from None
    return ",".join(parts) or None


def check_app_id(value: str) -> str:
    """An id that can stand in a URL as it is."""
    if not _APP_ID.fullmatch(value) or not value.strip("."):
        raise ValueError("It must be 1 to 255 letters, digits, hyphens, dots, underscores or tildes.")
    return value


def check_locale(value: str) -> str:
    """A BCP 47 language tag."""
    try:
        return validation.check_locale(value)
    except ValueError as error:
        raise ValueError(f"It {error}") from None


def check_store_url(value: str) -> str:
    """The URL of a store that this version has."""
    factory.check_store_url(value)
    return value


def check_bus_url(value: str) -> str:
    """The URL of a bus that this version has."""
    backends.check_bus_url(value)
    return value


def check_bus_prefix(value: str) -> str:
    """What names of channels can begin with."""
    channels.check_prefix(value)
    return value


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``."""
    address = _ip(host)
    return address.is_loopback if address else host.lower().rstrip(".") == "localhost"


def check_together(settings: Settings, origins: Origins, bad: frozenset[str]) -> list[str]:
    """Return what is wrong with the values together. Fields in ``bad`` are known to be wrong and are left alone."""
    problems = []
    if (
        settings.is_open
        and not settings.allow_open
        and not bad & {"host", "allow_open", "secret", "jwks_url"}
        and not is_loopback(settings.host)
    ):
        problems.append(
            f"{describe('host', settings.host, origins)} Whoever reaches that address could read and write every user, "
            "because no tokens are checked. Set USERLINE_SECRET or USERLINE_JWKS_URL to have them checked, or "
            "USERLINE_HOST=127.0.0.1, or USERLINE_ALLOW_OPEN=true if that is what you want."
        )
    on_mongodb = settings.store_url.lower().startswith("mongodb")
    if not bad & {"change_stream", "store_url"} and settings.change_stream and not on_mongodb:
        problems.append(
            f"{describe('change_stream', settings.change_stream, origins)} Only MongoDB has a change stream: set "
            "USERLINE_STORE_URL=mongodb://…, or leave USERLINE_CHANGE_STREAM out."
        )
    if not bad & {"workers", "bus_url"} and settings.workers > 1 and settings.bus_url == "memory://":
        problems.append(
            f"{describe('workers', settings.workers, origins)} More than one process needs a bus that they share, and "
            "the memory:// bus is for one: set USERLINE_BUS_URL=redis://HOST:PORT, or USERLINE_WORKERS=1."
        )
    if settings.tracing and "tracing" not in bad and not is_installed():
        problems.append(
            f"{describe('tracing', settings.tracing, origins)} What it needs is not installed: "
            "pip install 'userline[tracing]', or leave USERLINE_TRACING out."
        )
    return problems + check_tokens(settings, origins, bad)


def read_roles(path: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the roles in the file with their settings, and a sentence for each thing that is wrong with it."""
    try:
        roles = orjson.loads(path.read_bytes())
    except OSError as error:
        return {}, [f"The file cannot be read: {error.strerror}."]
    except orjson.JSONDecodeError as error:
        return {}, [f"The file is not JSON: {error}."]
    if not isinstance(roles, dict):
        return {}, ['The file must have an object of roles, such as {"default": {}, "agent": {"canExport": true}}.']
    problems = []
    if DEFAULT_ROLE not in roles:
        problems.append(
            f'The file must have a role named "{DEFAULT_ROLE}", which users have unless they are given another.'
        )
    for name, value in roles.items():
        if not name.strip() or len(name) > MAX_ROLE_CHARACTERS:
            problems.append(
                f"The role name {name[:40]!r} must not be blank or longer than {MAX_ROLE_CHARACTERS} characters."
            )
        if not isinstance(value, dict):
            problems.append(f"The settings of the role {name[:40]!r} must be an object.")
    return roles, problems


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
