"""The connection: one socket at a time, opened when there is something to do, and again whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from typing import TYPE_CHECKING, Any, Final, Protocol

from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)

from userline_client.documents import complete_message, subscribe_message, token_message
from userline_client.errors import ProtocolError, Unauthenticated, UserlineError, error_from
from userline_client.link import Link, acknowledge, open_socket, read_message
from userline_client.operations import Operations
from userline_client.tokens import TokenCallbackFailed

if TYPE_CHECKING:
    from userline_client.backoff import Backoff
    from userline_client.operations import Operation
    from userline_client.tokens import Claims, Tokens

logger: logging.Logger = logging.getLogger("userline_client")

_FORBIDDEN: Final = 4403
_TOKEN_EXPIRED: Final = 4410
# What a gateway closes a socket for that would happen again: the client sent what it must not.
_FAULTS: Final = frozenset({1008, 1009, 4400, 4401, 4406, 4409, 4429})
_RESTART: Final = 1012
_WHEN_TO_COME_BACK: Final = re.compile(r"retry after (\d{1,3}(?:\.\d{1,3})?) s")
_PASSING_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class Listener(Protocol):
    """Who is told what becomes of the connection."""

    def is_watching(self) -> bool:
        """Whether there is a reason to stay connected, beside the operations under way."""

    def on_lost(self) -> None:
        """A connection is gone: changes may be missed from now on."""

    def on_fatal(self, error: UserlineError) -> None:
        """There is no use in trying again."""


class Connection:
    """Runs operations over a socket, and takes them along to the next one when it is lost."""

    def __init__(self, url: str, tokens: Tokens, listener: Listener, backoff: Backoff, idle_seconds: float) -> None:
        self._url = url
        self._tokens = tokens
        self._listener = listener
        self._backoff = backoff
        self._idle_seconds = idle_seconds
        self._operations = Operations()
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._hurry = asyncio.Event()
        self._closed: UserlineError | None = None
        self._failures = 0
        self._refusals = 0
        self._was_open = False
        self._hint: float | None = None
        self.problem: str = ""
        """Why there is no connection, if there is none."""
        self._shown: str | None = None
        self._shown_claims: Claims | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a socket now."""
        return self._link is not None

    def start(self, operation: Operation) -> None:
        """Run an operation, now or when there is a socket. On a closed connection it fails."""
        if self._closed is not None:
            operation.on_failure(self._closed)
            return
        operation_id = self._operations.add(operation)
        self._keep()
        if self._link is not None and not self._link.is_closing:
            self._link.send(subscribe_message(operation_id, operation.payload))
        elif self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="userline connection")

    def stop(self, operation: Operation) -> None:
        """End an operation; nothing happens if it is over."""
        operation_id = self._operations.remove(operation)
        if operation_id is not None and self._link is not None and not self._link.is_closing:
            self._link.send(complete_message(operation_id))
        self.settle()

    def settle(self) -> None:
        """Close the socket in a while, if there is nothing to do with it."""
        if self._link is not None and self._idle is None and not self._is_needed():
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._close_idle)

    def use_token(self) -> None:
        """Show the gateway the token that was just set."""
        if self._task is None or self._task.done():
            self._failures = 0
        self._hurry.set()
        if self._link is None or self._link.is_closing:
            return
        before, now = self._shown_claims, self._tokens.claims
        if before is None or (before.kind, before.subject) != (now.kind, now.subject):
            self._link.close()  # a socket keeps its owner: this one connects again
        else:
            self._renew(self._link)

    async def close(self, error: UserlineError) -> None:
        """Close the socket and end everything that runs here; what is under way, and what comes yet, fails."""
        self._closed = error
        self.fail_all(error)
        self._keep()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def fail_all(self, error: UserlineError) -> None:
        """Fail all operations under way."""
        for _, operation in self._operations.all():
            if self._operations.remove(operation) is not None:
                operation.on_failure(error)

    def _is_needed(self) -> bool:
        return len(self._operations) > 0 or self._listener.is_watching()

    def _keep(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _close_idle(self) -> None:
        self._idle = None
        if self._link is not None and not self._is_needed():
            self._link.close()

    async def _run(self) -> None:
        """Open sockets one after the other, for as long as there is something to do."""
        try:
            while self._is_needed():
                await self._pause()
                if self._is_needed():
                    await self._try()
        except Exception as error:
            logger.exception("The connection has failed unexpectedly")
            self._fail(ProtocolError(f"The connection has failed unexpectedly: {error!r}"))

    async def _pause(self) -> None:
        self._hurry.clear()
        hint, self._hint = self._hint, None
        try:
            async with asyncio.timeout(self._backoff.seconds(self._failures) if hint is None else hint):
                await self._hurry.wait()
        except TimeoutError:
            pass

    async def _try(self) -> None:
        """Use one socket until its end, and decide what that means."""
        self._failures += 1
        try:
            await self._use_socket()
        except ConnectionClosed as closed:
            code, reason = (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")
            self._judge(code, reason)
        except TokenCallbackFailed as failed:
            logger.warning("on_need_token has failed, and is called again in a while", exc_info=failed.__cause__)
            self.problem = "on_need_token has failed"
        except InvalidStatus as refused:
            status = refused.response.status_code
            if status in _PASSING_STATUSES:
                self._lost(f"the gateway answered with HTTP status {status}")
            else:
                self._fail(ProtocolError(f"The gateway refused the connection with HTTP status {status}."))
        except ProtocolError as error:
            self._fail(error)
        except InvalidMessage:
            self._lost("it was lost in its handshake")
        except (InvalidHandshake, InvalidURI) as error:
            self._fail(ProtocolError(f"There is no userline gateway at this URL: {error}"))
        except (OSError, WebSocketException) as error:
            if isinstance(error, ssl.SSLCertVerificationError) and not self._was_open:  # later, somebody will mend it
                self._fail(ProtocolError(f"The gateway's certificate is not trusted: {error.verify_message}."))
            else:
                self._lost(str(error) or type(error).__name__)

    async def _use_socket(self) -> None:
        before, self.problem = self.problem, "no token has come from on_need_token"
        token = await self._tokens.ready()
        self.problem = before
        self._note_shown(token)
        async with open_socket(self._url) as socket:
            await acknowledge(socket, token)
            self._refusals = 0
            self._was_open = True
            self.problem = ""
            link = self._link = Link(socket)
            helpers = [asyncio.create_task(link.write()), asyncio.create_task(self._keep_token())]
            try:
                if self._tokens.current != token:
                    self.use_token()
                for operation_id, operation in self._operations.all():
                    link.send(subscribe_message(operation_id, operation.payload))
                self.settle()
                while True:
                    self._receive(link, read_message(await socket.recv()))
            except ConnectionClosed:
                if not link.is_closing:
                    raise
                self._failures = 0
            finally:
                self._link = None
                self._keep()
                for helper in helpers:
                    helper.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)
                self._listener.on_lost()

    def _receive(self, link: Link, message: dict[str, Any]) -> None:
        match message["type"]:
            case "next" | "error" | "complete":
                self._failures = 0
                operation = self._operations.get(message.get("id"))
                if operation is not None:
                    self._hand(operation, message)
                    self.settle()
            case "ping":
                link.send('{"type":"pong"}')

    def _hand(self, operation: Operation, message: dict[str, Any]) -> None:
        payload = message.get("payload")
        if message["type"] == "complete":
            self._operations.remove(operation)
            operation.on_complete()
        elif message["type"] == "error":
            self._operations.remove(operation)
            operation.on_failure(error_from(payload))
        else:
            try:
                error = self._take(operation, payload)
            except ProtocolError as bad:
                error = bad
            if error is not None:
                self.stop(operation)
                operation.on_failure(error)

    def _take(self, operation: Operation, payload: Any) -> UserlineError | None:
        """Hand a result to its operation; return the error if it is one."""
        match payload:
            case {"errors": [_, *_] as errors}:
                return error_from(errors)
            case {"data": dict(data)}:
                if not operation.on_data(data):
                    self._operations.remove(operation)
                return None
        return ProtocolError("The gateway sent a result that is none.")

    def _judge(self, code: int, reason: str) -> None:
        """Decide whether to come back after the gateway closed the socket."""
        if code in _FAULTS:
            self._fail(ProtocolError(f"The gateway closed the connection ({code}): {reason}", code))
        elif code in {_FORBIDDEN, _TOKEN_EXPIRED}:
            self._refused(code, reason)
        else:
            self._lost(f"it was closed ({code}{f': {reason}' if reason else ''})")
            hint = _WHEN_TO_COME_BACK.search(reason) if code == _RESTART else None
            if hint is not None:
                self._hint = float(hint[1])

    def _lost(self, problem: str) -> None:
        """Come back after a pause, also the first time: many may have lost their connections at the same moment."""
        logger.info("There is no connection: %s", problem)
        self.problem = problem
        self._failures = max(self._failures, 1)

    def _refused(self, code: int, reason: str) -> None:
        if self._tokens.current != self._shown:
            self._failures = 0  # there is another one by now
            return
        if code == _FORBIDDEN:
            self._refusals += 1
        if not self._tokens.can_ask or self._refusals > 1:
            self._refusals = 0
            self._fail(Unauthenticated(reason.removeprefix("Forbidden: ") or "The token is not good."))
            return
        logger.info("The token was refused: %s", reason)
        self._tokens.reject()
        if self._refusals == 1:
            self._failures = 0

    def _fail(self, error: UserlineError) -> None:
        self.fail_all(error)
        self._listener.on_fatal(error)

    def _note_shown(self, token: str | None) -> None:
        self._shown = token
        self._shown_claims = self._tokens.claims

    def _renew(self, link: Link) -> None:
        token = self._tokens.current
        self._note_shown(token)
        link.send(token_message("ping", token))

    async def _keep_token(self) -> None:
        while True:
            try:
                await self._tokens.renew_in_time()
            except TokenCallbackFailed as failed:
                logger.warning("on_need_token has failed, and is called again in a while", exc_info=failed.__cause__)
