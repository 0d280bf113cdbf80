"""The app's configuration, which everybody who uses the gateway may read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from userline_client.documents import APP
from userline_client.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from userline_client.connection import Connection
    from userline_client.requests import Requests


@dataclass(frozen=True, slots=True)
class App:
    """The app's configuration at the gateway, as ``Session.app`` returns it."""

    id: str
    default_locale: str
    """The locale of users who have none: an IETF language tag (BCP 47), such as ``en``."""
    roles: Mapping[str, Mapping[str, Any]]
    """The settings of each role, by the role's name. Read-only. There is always a role ``default``."""


class Apps:
    """Asks for the app once for each socket, because the gateway of the next socket may have another configuration."""

    def __init__(self, connection: Connection, requests: Requests) -> None:
        self._connection = connection
        self._requests = requests
        self._app: App | None = None
        self._opened = -1
        self._asking = asyncio.Lock()

    async def get(self) -> App:
        """Return the app."""
        async with self._asking:  # one request at a time; others wait and use its result
            if self._app is None or self._opened != self._connection.opened or not self._connection.is_open:
                app = await self._requests.ask(APP, {}, lambda data: _read(data.get("app")))
                self._app, self._opened = app, self._connection.opened
            return self._app


def _read(app: Any) -> App:
    try:
        roles = {role["name"]: MappingProxyType(dict(role["settings"])) for role in app["roles"]}
        return App(app["id"], app["defaultLocale"], MappingProxyType(roles))
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"The gateway sent an app that is not valid: {error!r}") from None
