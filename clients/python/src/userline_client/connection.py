"""A connection: one socket at a time, opened when there is something to do, and again whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from websockets.exceptions import ConnectionClosed

from userline_client.closing import ENDS, FORBIDDEN, Fatal, Lost, TokenRefused, judge
from userline_client.documents import ENVELOPE_BYTES, complete_message, subscribe_message, token_message
from userline_client.errors import InvalidInput, ProtocolError, Unauthenticated, UserlineError
from userline_client.link import Link, acknowledge, open_socket, read_message
from userline_client.liveness import Liveness
from userline_client.operations import Operations
from userline_client.tokens import TokenCallbackFailed

if TYPE_CHECKING:
    from userline_client.backoff import Backoff
    from userline_client.clock import Clock
    from userline_client.link import Limits
    from userline_client.operations import Operation
    from userline_client.tokens import Claims, Tokens

logger: logging.Logger = logging.getLogger("userline_client")


class Listener(Protocol):
    """Who is told what becomes of a connection."""

    def is_held(self) -> bool:
        """Whether there is a reason to stay connected, beside the operations under way."""

    def on_open(self) -> None:
        """There is a socket now, and the gateway has told its limits."""

    def on_lost(self) -> None:
        """A socket is gone: changes may be missed from now on."""

    def on_refused(self, refusal: UserlineError | None) -> None:
        """It was a refusal, or it was none, or there has not even been a socket."""

    def on_fatal(self, error: UserlineError) -> None:
        """There is no use in trying again."""


class Connection:
    """Runs operations over a socket, and takes them along to the next one when it is lost."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a connection is given
        self, url: str, tokens: Tokens, listener: Listener, backoff: Backoff, idle_seconds: float, clock: Clock
    ) -> None:
        self._url = url
        self._tokens = tokens
        self._listener = listener
        self._backoff = backoff
        self._idle_seconds = idle_seconds
        self._operations = Operations()
        self._liveness = Liveness(clock, self._on_woken)
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._hurry = asyncio.Event()
        self._closed: UserlineError | None = None
        self._failures = 0
        self._refusals = 0
        self._hint: float | None = None
        self.limits: Limits | None = None
        """What the gateway said last that a socket may do."""
        self.opened: int = 0
        """How many sockets there have been."""
        self.problem: str = ""
        """Why there is no connection, if there is none."""
        self._shown: str | None = None
        self._shown_claims: Claims | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a socket now."""
        return self._link is not None

    @property
    def is_ready(self) -> bool:
        """Whether the socket that there is takes operations."""
        return self._link is not None and not self._link.is_closing

    def start(self, operation: Operation) -> None:
        """Run an operation, now or when there is a socket. On a closed connection it fails."""
        if self._closed is not None:
            operation.on_failure(self._closed)
            return
        operation_id = self._operations.add(operation)
        self.need()
        if self._link is not None and not self._link.is_closing:
            self._send(self._link, operation_id, operation)
        self.settle()

    def stop(self, operation: Operation) -> None:
        """End an operation; nothing happens if it is over."""
        operation_id = self._operations.remove(operation)
        if operation_id is not None and self._link is not None and not self._link.is_closing:
            self._link.send(complete_message(operation_id))
        self.settle()

    def need(self) -> None:
        """Note that there is something to do: open a socket if there is none, and keep it."""
        self._keep()
        if self._closed is None and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="userline connection")

    def settle(self) -> None:
        """Close the socket in a while, if there is nothing to do with it."""
        if self._link is not None and self._idle is None and not self._is_needed():
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._close_idle)

    def note_use(self) -> None:
        """Note that somebody was served with what came over the socket: it is idle from now on."""
        if self._idle is not None:
            self._keep()
            self.settle()

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
        self.abandon(error)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def abandon(self, error: UserlineError) -> None:
        """Fail all operations under way, and give up the socket. The next one can be used again."""
        for _, operation in self._operations.all():
            if self._operations.remove(operation) is not None:
                operation.on_failure(error)
        self._keep()
        task, self._task = self._task, None
        if task is not None and not task.done():
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            if task is not asyncio.current_task():
                task.cancel()

    def _is_needed(self) -> bool:
        return self._operations.needing > 0 or self._listener.is_held()

    def _keep(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _close_idle(self) -> None:
        self._idle = None
        if self._link is not None and not self._is_needed():
            self._link.close()

    def _on_woken(self) -> None:
        logger.info("The machine was suspended: connecting again")
        self._failures = 0
        self._hurry.set()

    async def _run(self) -> None:
        """Open sockets one after the other, for as long as there is something to do."""
        self._liveness.start()
        try:
            while self._is_needed() and self._task is asyncio.current_task():
                await self._pause()
                if self._is_needed():
                    await self._try()
        except Exception as error:
            logger.exception("The connection has failed unexpectedly")
            self._fail(ProtocolError(f"The connection has failed unexpectedly: {error!r}"))
        finally:
            if self._task is asyncio.current_task() or self._task is None:
                self._liveness.stop()

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
        except ENDS as end:
            if isinstance(end, TokenCallbackFailed):
                end.log()
            match judge(end, was_open=self.limits is not None):
                case Lost(problem, hint, refusal):
                    logger.info("There is no connection to the gateway: %s", problem)
                    self.problem = problem
                    self._hint = hint
                    # After a pause, also the first time: many may have lost their connections at the same moment.
                    self._failures = max(self._failures, 1)
                    self._listener.on_refused(refusal)
                case TokenRefused(code, reason):
                    self._token_refused(code, reason)
                case Fatal(error):
                    self._fail(error)

    async def _use_socket(self) -> None:
        before, self.problem = self.problem, "on_need_token has returned no token"
        token = await self._tokens.ready()
        self.problem = before
        self._note_shown(token)
        async with open_socket(self._url) as socket:
            self.limits = await acknowledge(socket, token)
            self.opened += 1
            self._refusals = 0
            self.problem = ""
            link = self._link = Link(socket, self.limits)
            self._liveness.look_after(link)
            helpers = [asyncio.create_task(link.write()), asyncio.create_task(self._tokens.renew_in_time())]
            try:
                if self._tokens.current != token:
                    self.use_token()
                for operation_id, operation in self._operations.all():
                    self._send(link, operation_id, operation)
                self._listener.on_open()
                self.settle()
                while True:
                    self._receive(link, read_message(await socket.recv()))
            except ConnectionClosed:
                if not link.is_closing:
                    raise
                self._failures = 0
            finally:
                self._link = None
                self._liveness.look_after(None)
                self._keep()
                self._listener.on_lost()
                for helper in helpers:
                    helper.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)

    def _send(self, link: Link, operation_id: str, operation: Operation) -> None:
        most = link.limits.message_bytes
        if len(operation.payload) * 4 > most and len(operation.payload.encode()) > most - ENVELOPE_BYTES:
            self._operations.remove(operation)
            operation.on_failure(InvalidInput(f"This is too large for one message, which may have {most:,} bytes."))
        else:
            link.send(subscribe_message(operation_id, operation.payload))

    def _receive(self, link: Link, message: dict[str, Any]) -> None:
        match message["type"]:
            case "next" | "error" | "complete":
                self._failures = 0
                ended = self._operations.take(message)
                if ended is not None:
                    link.send(complete_message(ended))
                self.settle()
            case "ping":
                link.send('{"type":"pong"}')

    def _token_refused(self, code: int, reason: str) -> None:
        if self._tokens.current != self._shown:
            self._failures = 0  # there is another one by now
            return
        if code == FORBIDDEN:
            self._refusals += 1
        if not self._tokens.can_ask or self._refusals > 1:
            self._refusals = 0
            self._fail(Unauthenticated(reason.removeprefix("Forbidden: ") or "The token is not valid."))
            return
        logger.info("The token was refused: %s", reason)
        self._tokens.reject()
        if self._refusals == 1:
            self._failures = 0

    def _fail(self, error: UserlineError) -> None:
        self.abandon(error)
        self._listener.on_fatal(error)

    def _note_shown(self, token: str | None) -> None:
        self._shown = token
        self._shown_claims = self._tokens.claims

    def _renew(self, link: Link) -> None:
        token = self._tokens.current
        self._note_shown(token)
        link.send(token_message("ping", token))
