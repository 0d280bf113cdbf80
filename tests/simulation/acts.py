"""What the users of a deployment do: at its gateways, over sockets, and by the Python client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.simulation.clients import Shown
from tests.simulation.history import state_of
from tests.simulation.watching import Attached, Watching
from tests.simulation.wire import READ, SET, Subscribed, WireClient, state_seen
from userline.users.errors import BadUserInput
from userline.users.viewer import Viewer, ViewerKind

if TYPE_CHECKING:
    from tests.simulation.gateway import Gateway
    from tests.simulation.world import World

_SERVER: Final = Viewer(ViewerKind.APP)

ACTS: Final = {
    "set": 8, "set privately": 3, "set nothing": 2, "set a key": 3, "set many": 2, "create": 3, "delete": 3, "get": 6,
    "get many": 2, "page": 1, "watch": 6, "unwatch": 3, "enter": 3, "leave": 2,
    "client gets": 4, "client sets": 4, "client watches": 4, "client unwatches": 2,
}  # fmt: skip
"""How often each is done, beside the others."""


class Acts:
    """Has somebody do something, and holds what comes of it against the history."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._values = 0

    def do(self, act: str, gateway: Gateway, user_id: str) -> None:
        """Do one of ``ACTS``, with this user at this gateway where that matters."""
        getattr(self, f"_{act.replace(' ', '_')}")(gateway, user_id)

    def write_publicly(self, gateway: Gateway, user_id: str) -> None:
        """Write what all watchers are told of, if the gateway is there."""
        if gateway.is_up:
            self._write(gateway, user_id, {"name": f"n{self._new_value()}"})

    def _set(self, gateway: Gateway, user_id: str) -> None:
        # Sometimes what was there before: it is another version, and looks the same.
        number = self._new_value() if self._world.random.random() < 0.8 else self._world.random.randint(1, 3)
        self._write(gateway, user_id, {"name": f"n{number}"})

    def _set_privately(self, gateway: Gateway, user_id: str) -> None:
        self._write(gateway, user_id, {"email": [f"e{self._new_value()}@example.com"]})

    def _set_nothing(self, gateway: Gateway, user_id: str) -> None:
        self._write(gateway, user_id, {})

    def _set_a_key(self, gateway: Gateway, user_id: str) -> None:
        key = self._world.random.choice("kl")
        value = None if self._world.random.random() < 0.2 else f"v{self._new_value()}"
        self._write(gateway, user_id, {"custom": {key: value}})

    def _write(self, gateway: Gateway, user_id: str, given: dict[str, Any]) -> None:
        client = self._some_client(gateway)

        async def write() -> None:
            if client is not None and "email" not in given:
                await self._write_by_wire(client, user_id, given)
                return
            since = gateway.least(user_id)
            newest, result = await gateway.users.set(user_id, given, viewer=_SERVER)
            self._was_written(gateway, user_id, since, state_of(newest), state_of(result.after.snapshot))

        self._world.call(gateway, f"set {user_id} {given}", write())

    async def _write_by_wire(self, client: WireClient, user_id: str, given: dict[str, Any]) -> None:
        since = client.gateway.least(user_id)
        answer = await client.request(SET, {"id": user_id, "input": given})
        after = state_seen(answer["setUser"]["user"])
        self._was_written(client.gateway, user_id, since, after, after)

    def _set_many(self, gateway: Gateway, user_id: str) -> None:  # noqa: ARG002 - several
        user_ids = self._world.random.sample(self._world.user_ids, min(2, len(self._world.user_ids)))
        given = {each: {"name": f"n{self._new_value()}"} for each in user_ids}

        async def write() -> None:
            since = {each: gateway.least(each) for each in user_ids}
            for each, result in (await gateway.users.set_many(given)).items():
                after = state_of(result.after.snapshot)
                self._was_written(gateway, each, since[each], after, after)

        self._world.call(gateway, f"set {given}", write())

    def _create(self, gateway: Gateway, user_id: str) -> None:
        name = f"n{self._new_value()}"

        async def create() -> None:
            since = gateway.least(user_id)
            newest, _ = await gateway.users.create_if_not_exists(user_id, {"name": name}, viewer=_SERVER)
            self._was_written(gateway, user_id, since, state_of(newest), state_of(newest))

        self._world.call(gateway, f"create {user_id} {name}", create())

    def _delete(self, gateway: Gateway, user_id: str) -> None:
        deleting: Any = getattr(gateway.users, "delete", None)
        if deleting is None:
            return

        async def delete() -> None:
            since = gateway.least(user_id)
            await deleting(user_id, viewer=_SERVER)
            self._saw(gateway, user_id, since, None, "a deletion")

        self._world.call(gateway, f"delete {user_id}", delete())

    def _was_written(self, gateway: Gateway, user_id: str, since: int, newest: Any, after: Any) -> None:
        if self._world.history.place(user_id, after, 0) is None:
            self._world.fail(f"{gateway.name} acknowledged {after} of {user_id}, which was never stored")
        self._world.history.acknowledged.add((user_id, after))
        self._saw(gateway, user_id, since, newest, "a write")

    def _saw(self, gateway: Gateway, user_id: str, since: int, state: Any, what: str) -> None:
        self._world.note(f"{gateway.name} answers {what} of {user_id}: {state}")
        problem = gateway.floor.take(user_id, state, since)
        if problem is not None:
            self._world.fail(f"{what} at {gateway.name}: {problem}")

    def _get(self, gateway: Gateway, user_id: str) -> None:
        client = self._some_client(gateway)

        async def get() -> None:
            since = gateway.least(user_id)
            if client is not None:
                answer = await client.request(READ, {"id": user_id})
                self._saw(gateway, user_id, since, state_seen(answer["user"]), "a read by a socket")
                return
            snapshot = await gateway.users.get(user_id)
            self._saw(gateway, user_id, since, state_of(snapshot), "a read")

        self._world.call(gateway, f"get {user_id}", get())

    def _get_many(self, gateway: Gateway, user_id: str) -> None:  # noqa: ARG002 - all
        async def get() -> None:
            since = {each: gateway.least(each) for each in self._world.user_ids}
            for each, snapshot in zip(
                self._world.user_ids, await gateway.users.get_many(self._world.user_ids), strict=True
            ):
                assert not isinstance(snapshot, BadUserInput)
                self._saw(gateway, each, since[each], state_of(snapshot), "a read of many")

        self._world.call(gateway, "get all", get())

    def _page(self, gateway: Gateway, user_id: str) -> None:  # noqa: ARG002 - all
        async def get() -> None:
            since = {each: gateway.least(each) for each in self._world.user_ids}
            found, _ = await gateway.users.page(limit=100, viewer=_SERVER)
            for record in found:
                each = record.snapshot.id
                self._saw(gateway, each, since[each], state_of(record.snapshot), "a page")

        self._world.call(gateway, "page", get())

    def _watch(self, gateway: Gateway, user_id: str) -> None:
        self._world.note(f"watch {user_id} at {gateway.name}")
        client = self._some_client(gateway)
        if client is not None:
            self._world.watchings.append(Subscribed(self._world, client, user_id))
            return
        slowness = self._world.random.choice((0.0, 0.0, 0.1, 3.0))
        kind = Attached if self._world.random.random() < 0.5 else Watching
        self._world.watchings.append(kind(self._world, gateway, user_id, slowness))

    def _some_client(self, gateway: Gateway) -> WireClient | None:
        """Return a client of a gateway, or None: then it is done without a socket."""
        clients = self._world.wires[gateway.name]
        return self._world.random.choice(clients) if clients and self._world.random.random() < 0.6 else None

    def _unwatch(self, gateway: Gateway, user_id: str) -> None:
        mine = [each for each in self._world.watchings if each.gateway is gateway and each.user_id == user_id]
        if mine:
            watching = self._world.random.choice(mine)
            self._world.watchings.remove(watching)
            self._world.call(gateway, f"end {watching}", watching.end(), is_own=False)

    def _client_gets(self, _: Gateway, user_id: str) -> None:
        if self._world.sessions:
            client = self._world.random.choice(self._world.sessions)
            self._world.call(client, f"get {user_id}", client.get(user_id))

    def _client_sets(self, _: Gateway, user_id: str) -> None:
        if self._world.sessions:
            client = self._world.random.choice(self._world.sessions)
            given: dict[str, Any] = {"name": f"n{self._new_value()}"}
            if self._world.random.random() < 0.3:
                given = {"custom": {self._world.random.choice("kl"): f"v{self._new_value()}"}}
            self._world.call(client, f"set {user_id} {given}", client.set(user_id, given))

    def _client_watches(self, _: Gateway, user_id: str) -> None:
        if self._world.sessions:
            client = self._world.random.choice(self._world.sessions)
            self._world.note(f"{client.name} subscribes to {user_id}")
            self._world.shown.append(Shown(client, user_id))

    def _client_unwatches(self, _: Gateway, user_id: str) -> None:  # noqa: ARG002 - any
        if self._world.shown:
            shown = self._world.random.choice(self._world.shown)
            self._world.shown.remove(shown)
            self._world.call(shown.client, f"end {shown}", shown.end())

    def _enter(self, gateway: Gateway, user_id: str) -> None:
        self._world.note(f"{user_id} enters {gateway.name}")
        gateway.presence.enter(user_id)
        self._world.entered.append((gateway, user_id))

    def _leave(self, gateway: Gateway, user_id: str) -> None:
        if (gateway, user_id) in self._world.entered:
            self._world.note(f"{user_id} leaves {gateway.name}")
            self._world.entered.remove((gateway, user_id))
            gateway.presence.leave(user_id)

    def _new_value(self) -> int:
        self._values += 1
        return self._values
