"""Sessions of the Python client, as they are, over simulated sockets and through a balancer."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from contextlib import contextmanager
from dataclasses import fields
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidMessage, InvalidStatus
from websockets.frames import Close
from websockets.http11 import Response

from tests.simulation.history import Floor, State
from tests.simulation.loop import OWNER, Owner
from tests.simulation.sockets import ABNORMAL, Connection, HandshakeRefused, SocketClosed
from userline_client import Backoff, Session, UserlineError, UserSnapshot, connection, link

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from tests.simulation.world import World

HAS_VERSIONS: Final = any(field.name == "version" for field in fields(UserSnapshot))
"""Whether the client knows which of two snapshots is the newer one, whichever gateway they came from."""

_Socket: Any = getattr(link, "Socket", object)

PASSING: Final = frozenset({"STORE_UNAVAILABLE", "RATE_LIMITED", "CONNECTION_TIMEOUT", "DISCONNECTED"})
"""Errors that say nothing but that something is away."""

LIVENESS_SECONDS: Final = 15.0
"""How soon a client finds out that nobody is at the other end."""

_AGAIN_SECONDS: Final = 0.2
_END_SECONDS: Final = 5.0


def state_shown(snapshot: UserSnapshot | None) -> State | None:
    """Return the state that a client's snapshot shows."""
    if snapshot is None:
        return None
    version = int(getattr(snapshot, "version")) if HAS_VERSIONS else None  # noqa: B009 - older clients have none
    return State(version, (snapshot.name, tuple(sorted(snapshot.custom.items()))))


class SimulatedSocket(_Socket):  # type: ignore[misc]
    """Stands where the client has its connection of ``websockets``."""

    def __init__(self, end: Connection) -> None:
        self._end = end
        self.transport = self

    @property
    def subprotocol(self) -> str | None:
        """What the gateway has agreed to."""
        return self._end.subprotocol

    @property
    def heard(self) -> int:
        """How many bytes have come."""
        return self._end.heard

    async def send(self, text: str) -> None:
        """Send a message. Raises ConnectionClosed."""
        try:
            self._end.say(text)
        except SocketClosed as closed:
            raise _as_told(closed) from None

    async def recv(self) -> str:
        """Return the next message. Raises ConnectionClosed."""
        try:
            return await self._end.hear()
        except SocketClosed as closed:
            raise _as_told(closed) from None

    async def ping(self) -> None:
        """Ask for a sign of life."""
        self._end.ping()

    async def close(self) -> None:
        """Close the socket."""
        self._end.close()

    def abort(self) -> None:
        """End the socket at once."""
        self._end.abort()


def _as_told(closed: SocketClosed) -> ConnectionClosed:
    told = None if closed.code == ABNORMAL else Close(closed.code, closed.reason)
    return ConnectionClosedError(told, None)


class _Opening:
    """What ``open_socket`` returns: it opens a socket to one of the gateways, and closes it."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __aenter__(self) -> SimulatedSocket:
        self._end = end = self._client.connect()
        try:
            async with asyncio.timeout(link.OPEN_SECONDS):
                await end.open()
        except HandshakeRefused as refused:
            raise InvalidStatus(Response(refused.status, "", Headers())) from None
        except SocketClosed:
            raise InvalidMessage("the handshake was lost") from None
        except BaseException:
            end.close()  # as who gives up connecting does
            raise
        return SimulatedSocket(end)

    async def __aexit__(self, *_: object) -> None:
        self._end.close()


class Client(Owner):
    """A session, with all that it does."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__()
        self.name = name
        self.world = world
        self.floor = Floor(world.history)
        """What this session has shown or acknowledged."""
        self._ends: list[Connection] = []
        self._context = contextvars.copy_context()
        self._context.run(OWNER.set, self)
        self.session: Session = self._context.run(self._open)

    def do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something as a part of this client."""
        return self.world.loop.create_task(work, context=self._context.copy())

    def connect(self) -> Connection:
        """Return a socket to whichever gateway a balancer chooses."""
        self._ends = [end for end in self._ends if not end.is_over]
        end = Connection(self.world, self.world.some_gateway(), self.name)
        self._ends.append(end)
        return end

    @property
    def is_sound(self) -> bool:
        """Whether it does not wait for something that cannot come."""
        return not any(end.is_silent and not end.is_closed for end in self._ends)

    def cut(self, *, is_silent: bool) -> None:
        """Cut its sockets."""
        for end in self._ends:
            end.cut(is_silent=is_silent)
            if is_silent and _Socket is object:
                # The pings of ``websockets`` find that out, which is not there.
                self.world.loop.call_later(self.world.random.uniform(1, LIVENESS_SECONDS), end.abort)

    async def get(self, user_id: str) -> None:
        """Read a user."""
        since = self.floor.of(user_id)
        self.take(user_id, state_shown(await self.session.user(user_id).get()), since, "a get")

    async def set(self, user_id: str, given: dict[str, Any]) -> None:
        """Write a user."""
        since = self.floor.of(user_id)
        result = await self.session.user(user_id).set(**given)
        self.take(user_id, state_shown(result.user), since, "a set")

    def take(self, user_id: str, state: State | None, since: int, what: str) -> None:
        """See a state, which must be none from before ``since``."""
        self.world.note(f"{self.name} is shown {state} of {user_id} by {what}")
        # Nobody can tell an absence from another one; and without versions, no state of two gateways.
        problem = self.floor.take(user_id, state, since if HAS_VERSIONS and state is not None else 0)
        if problem is not None:
            self.world.fail(f"{what} of {self.name}: {problem}")

    async def close(self) -> None:
        """Close the session, and see that nothing of it is left."""
        await asyncio.wait([self.do(self.session.close())], timeout=_END_SECONDS)
        await asyncio.sleep(0.1)
        if self.tasks():
            self.world.fail(f"{self.name} is closed, and left {self.tasks()}")

    def _open(self) -> Session:
        return Session("ws://simulated/graphql", backoff=Backoff(0.2, 2.0), on_error=self._fail)

    def _fail(self, error: UserlineError) -> None:
        self.world.fail(f"{self.name} gave up: {error!r}")


class Shown:
    """A subscription of a client, and what it has shown."""

    slowness = 0.0
    gateway = None

    def __init__(self, client: Client, user_id: str) -> None:
        self.user_id = user_id
        self.client = client
        self.seen: State | None = None
        self.has_begun = False
        self._floor = Floor(client.world.history)
        self._task = client.do(self._run())

    async def end(self) -> None:
        """Watch no more."""
        self._task.cancel()
        await asyncio.wait([self._task])

    def problem(self) -> str | None:
        """Return what is wrong with what was shown last, if there is no more to come."""
        if not self.has_begun:
            return f"{self} is pending"
        if not self.client.world.history.is_now(self.user_id, self.seen):
            now = self.client.world.history.now(self.user_id)
            return f"{self} has shown {self.seen} last, and there is {now}"
        return None

    async def _run(self) -> None:
        while True:
            async with self.client.session.user(self.user_id).subscribe(self._show) as subscription:
                ended = await subscription.terminated
            error = getattr(ended, "error", None)
            self.client.world.note(f"{self} ended with {error!r}")
            if error is None or error.code not in PASSING:
                self.client.world.fail(f"{self} ended with {error!r}")
                return
            self.has_begun = False
            await asyncio.sleep(_AGAIN_SECONDS)

    def _show(self, snapshot: UserSnapshot | None) -> None:
        state = state_shown(snapshot)
        if self.has_begun and self.seen is not None and state == self.seen:
            self.client.world.fail(f"{self} has shown {state} twice")
        self.has_begun = True
        self.seen = state
        self.client.take(self.user_id, state, self._floor.of(self.user_id), str(self))
        self._floor.raise_to(self.user_id, self.client.floor.of(self.user_id))

    def __str__(self) -> str:
        return f"subscription of {self.client.name} to {self.user_id}"


def _current(_: str) -> _Opening:
    owner = OWNER.get()
    assert isinstance(owner, Client)
    return _Opening(owner)


@contextmanager
def simulated_clients(world: World) -> Iterator[None]:
    """Have clients open simulated sockets, and live by the simulated time."""
    with mock.patch.object(connection, "open_socket", _current), _clock_of(world):
        yield


@contextmanager
def _clock_of(world: World) -> Iterator[None]:
    def now(*_: object) -> float:
        return world.loop.seconds

    clock: Any = sys.modules.get("userline_client.clock")
    if clock is not None:
        with mock.patch.object(clock.Clock, "wall", now):
            yield
        return
    with mock.patch.object(sys.modules["userline_client.cache"], "time", SimpleNamespace(monotonic=now)):
        yield
