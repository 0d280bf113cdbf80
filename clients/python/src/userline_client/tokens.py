"""The session's token: what it says, when it ends, and where the next one comes from."""

from __future__ import annotations

import asyncio
import base64
import binascii
import inspect
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from userline_client.errors import InvalidInput

logger: logging.Logger = logging.getLogger("userline_client")

OnNeedToken: TypeAlias = Callable[[], str | Awaitable[str]]
"""A function that takes no arguments and returns a new token (a JWT), or an awaitable of one."""

_EARLY_SECONDS = 30.0
_EARLY_SHARE = 0.2
_LEAST_PAUSE = 0.2


class TokenCallbackFailed(Exception):
    """``on_need_token`` raised, or returned no token; the cause says which."""

    def log(self) -> None:
        """Tell the application's developers."""
        logger.warning("on_need_token has failed. It is called again later", exc_info=self.__cause__)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself. It is read and not checked: that is the gateway's job."""

    kind: str | None = None
    subject: str | None = None
    expires_at: float | None = None


def read_claims(token: str) -> Claims:
    """Return the claims of a JWT; none of them, if it is not one."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        kind, subject, expires = claims.get("tokenType"), claims.get("sub"), claims.get("exp")
        return Claims(
            kind=kind if isinstance(kind, str) else None,
            subject=subject if isinstance(subject, str) else None,
            expires_at=float(expires) if isinstance(expires, (int, float)) else None,
        )
    except (IndexError, ValueError, AttributeError, OverflowError, RecursionError, binascii.Error):
        return Claims()


class Tokens:
    """Holds the current token. ``on_change`` is called after each change."""

    def __init__(self, token: str | None, on_need_token: OnNeedToken | None, on_change: Callable[[], None]) -> None:
        self._on_need_token = on_need_token
        self._on_change = on_change
        self._changed = asyncio.Event()
        self._rejected = False
        self._asking: asyncio.Task[None] | None = None
        self._waiting = 0
        self.current: str | None = None
        self.claims: Claims = Claims()
        if token is not None:
            self._take(token)

    @property
    def can_ask(self) -> bool:
        """Whether there is somebody to ask for a new token."""
        return self._on_need_token is not None

    def set(self, token: str) -> None:
        """Use this token from now on."""
        self._take(token)
        self._changed.set()
        self._changed = asyncio.Event()
        self._on_change()

    def reject(self) -> None:
        """Note that the gateway does not take the current token."""
        self._rejected = True

    async def ready(self) -> str | None:
        """Return a token to connect with, a new one if the current one is known to be no good."""
        expires_at = self.claims.expires_at
        expired = expires_at is not None and expires_at <= time.time()
        if self.can_ask and (self.current is None or self._rejected or expired):
            await self.ask()
        return self.current

    async def ask(self) -> None:
        """Call ``on_need_token`` and use what it returns, unless a token is set meanwhile; once for all who ask now.

        Raises ``TokenCallbackFailed``.
        """
        if self._on_need_token is None:
            return
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(self._on_need_token), name="userline token")
            self._asking.add_done_callback(self._asked)
        asking = self._asking
        self._waiting += 1
        try:
            await asyncio.shield(asking)
        finally:
            self._waiting -= 1
            if not self._waiting and not asking.done():
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)

    def _asked(self, asking: asyncio.Task[None]) -> None:
        self._asking = None
        if not asking.cancelled():
            asking.exception()  # those who wait hear of it, if there are any left

    async def _ask(self, on_need_token: OnNeedToken) -> None:
        try:
            token = on_need_token()
            if inspect.isawaitable(token):
                await self._set_from(token)
            else:
                self.set(token)
        except Exception as error:
            raise TokenCallbackFailed from error

    async def _set_from(self, asked: Awaitable[str]) -> None:
        """Use the token that is awaited, unless another one is set meanwhile: nobody waits for it then."""

        async def wait() -> str:
            try:
                return await asked
            except asyncio.CancelledError:
                current = asyncio.current_task()
                if current is not None and current.cancelling():
                    raise
                raise RuntimeError("What on_need_token has returned was cancelled.") from None

        asking = asyncio.create_task(wait(), name="userline on_need_token")
        setting = asyncio.create_task(self._changed.wait(), name="userline set_token")
        try:
            await asyncio.wait((asking, setting), return_when=asyncio.FIRST_COMPLETED)
            if not setting.done():
                self.set(asking.result())
        finally:
            for task in (asking, setting):
                task.cancel()
            await asyncio.gather(asking, setting, return_exceptions=True)

    async def renew_in_time(self) -> None:
        """Ask for a new token before the current one expires, each time; never returns."""
        while True:
            token = self.current
            try:
                async with asyncio.timeout(self._seconds_until_renewal()):
                    await self._changed.wait()
            except TimeoutError:
                if self.current == token:
                    try:
                        await self.ask()
                    except TokenCallbackFailed as failed:
                        failed.log()

    def _seconds_until_renewal(self) -> float | None:
        if self.claims.expires_at is None or not self.can_ask:
            return None
        left = self.claims.expires_at - time.time()
        if left <= 0:
            return None  # by this clock, that is: the gateway's may be another, and it says when the token is over
        return max(left - min(_EARLY_SECONDS, left * _EARLY_SHARE), _LEAST_PAUSE)

    def _take(self, token: object) -> None:
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise InvalidInput("A token is a non-empty string of printable ASCII characters.")
        self.current = token
        self.claims = read_claims(token)
        self._rejected = False
