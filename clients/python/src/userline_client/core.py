"""What all references of a session use."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from userline_client.app import Apps
from userline_client.clock import Clock
from userline_client.connection import Connection
from userline_client.errors import SessionClosed, UserlineError
from userline_client.requests import Requests
from userline_client.snapshot import Snapshots
from userline_client.tokens import OnNeedToken, Tokens
from userline_client.users import Users
from userline_client.watches import Watches

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline_client.backoff import Backoff
    from userline_client.connection import Listener

logger: logging.Logger = logging.getLogger("userline_client")


class Core:
    """One connection, the users and watches that it serves, and whether they may still be used."""

    def __init__(  # noqa: PLR0913 - what a session is given
        self,
        url: str,
        *,
        token: str | None,
        on_need_token: OnNeedToken | None,
        on_error: Callable[[UserlineError], None] | None,
        idle_seconds: float,
        timeout: float,
        backoff: Backoff,
    ) -> None:
        self._on_error = on_error
        self._is_closed = False
        clock = Clock()
        snapshots = Snapshots()
        self.tokens: Tokens = Tokens(token, on_need_token, self._on_token)

        def connect(listener: Listener) -> Connection:
            return Connection(url, self.tokens, listener, backoff, idle_seconds, clock)

        self._watches = Watches(connect, self._on_fatal, snapshots, clock, backoff, timeout)
        self.connection: Connection = self._watches.carriers.main
        requests = Requests(self.connection, timeout)
        self._users = Users(requests, self._watches, snapshots)
        self._apps = Apps(self.connection, requests)

    def users(self) -> Users:
        """Return what reads and writes users. Raises ``SessionClosed``."""
        self.check_open()
        return self._users

    def watches(self) -> Watches:
        """Return what watches users. Raises ``SessionClosed``."""
        self.check_open()
        return self._watches

    def apps(self) -> Apps:
        """Return what asks for the app. Raises ``SessionClosed``."""
        self.check_open()
        return self._apps

    def check_open(self) -> None:
        """Raise ``SessionClosed`` if the session is closed."""
        if self._is_closed:
            raise SessionClosed

    async def close(self) -> None:
        """End everything."""
        self._is_closed = True
        error = SessionClosed()
        self._watches.close(error)
        await self._watches.carriers.close(error)

    def _on_fatal(self, error: UserlineError) -> None:
        self._watches.fail_all(error)
        if self._on_error is None:
            logger.error("The session has failed and ends: %s", error)
            return
        try:
            self._on_error(error)
        except Exception:
            logger.exception("on_error has raised")

    def _on_token(self) -> None:
        self._watches.carriers.use_token()
