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
        self._request: asyncio.Task[App] | None = None

    async def get(self) -> App:
        """Return the app. All who wait for it at the same time wait for one answer."""
        if self._app is not None and self._opened == self._connection.opened and self._connection.is_open:
            return self._app
        if self._request is None:
            self._request = asyncio.create_task(self._ask(), name="userline app")
            self._request.add_done_callback(self._ended)
        return await asyncio.shield(self._request)

    async def _ask(self) -> App:
        self._app = await self._requests.ask(APP, {}, lambda data: _read(data.get("app")))
        self._opened = self._connection.opened
        return self._app

    def _ended(self, task: asyncio.Task[App]) -> None:
        self._request = None
        if not task.cancelled():
            task.exception()  # perhaps nobody waits for it any more


def _read(app: Any) -> App:
    try:
        roles = {role["name"]: MappingProxyType(dict(role["settings"])) for role in app["roles"]}
        return App(app["id"], app["defaultLocale"], MappingProxyType(roles))
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"The gateway sent an app that is not valid: {error!r}") from None
