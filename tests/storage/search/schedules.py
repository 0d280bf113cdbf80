"""One schedule: made from its seed, run, and held against a sequential user."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from tests.storage.search.calls import (
    RULES,
    Answer,
    Done,
    Seen,
    State,
    Unknown,
    outcome_of,
    record_of,
    renamed,
    state_of,
    with_version,
)
from tests.storage.search.linear import could_be_sequential
from tests.storage.search.stepping import Stepper, run
from userline.storage.protocol import DeleteResult
from userline.users.patch import parse_new_user, parse_patch

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from tests.storage.search.worlds import World
    from userline.storage.protocol import UserStore
    from userline.users.record import UserRecord

    MakeWorld = Callable[[Stepper], World]

START: Final = 1_700_000_000_000

_NAMES: Final = "AB"
_PATCHES: Final[list[dict[str, Any]]] = [
    *({"name": name} for name in _NAMES),
    *({"name": name, "email": "a@example.com"} for name in _NAMES),
    {"custom": {"k": "1"}},
    {"custom": {"k": None}},
    {"custom": {"l": "1", "m": "1"}},
    {"email": "a@example.com"},
    {"email": None},
    {},
]
_KINDS: Final = {
    "patch": 9, "create": 3, "get": 2, "put": 2, "delete": 5, "insert": 3, "edit": 1, "old": 1, "anew": 3, "again": 5,
    "erase": 4,
}  # fmt: skip


class Schedule:
    """The calls of some gateways and programs on one user, or on two who are written by one command."""

    def __init__(self, seed: int, make_world: MakeWorld, *, most_calls: int = 10, without: Container[str] = ()) -> None:
        self.seed = seed
        self.stepper = Stepper(seed)
        self.world = make_world(self.stepper)
        self._random = self.stepper.random
        self._kinds = {kind: weight for kind, weight in _KINDS.items() if kind not in without}
        self._users = [f"u{seed}", f"v{seed}"][: self._random.choice((1, 1, 2))]
        self._pace = self._random.choice((0, 0, 1, 1000))
        """How many milliseconds a step takes; in none, many versions and times are the same."""
        self._calls = self._random.randint(4, most_calls)
        self.history: list[Done] = []

    def run(self) -> None:
        """Run it. Raises AssertionError, with its seed, steps and history, if no sequential user explains that."""
        logger, raised = logging.getLogger("userline.storage"), _Raised()
        level = logger.level
        logger.addHandler(raised)
        logger.setLevel(logging.DEBUG)
        try:
            run(self.stepper, self._main())
        finally:
            logger.removeHandler(raised)
            logger.setLevel(level)
        for user_id in self._users:
            calls = [call for call in self.history if call.user_id == user_id]
            if not raised.any and not could_be_sequential(calls, None):
                told = f"No sequential user explains what was seen of {user_id} (seed {self.seed})."
                raise AssertionError("\n".join(self._report(told, calls)))
            if not _is_above_deletions(calls):
                told = f"{user_id} is not above the deletions before it (seed {self.seed})."
                raise AssertionError("\n".join(self._report(told, calls)))

    def _report(self, told: str, calls: list[Done]) -> Iterator[str]:
        yield told
        yield from self.stepper.steps
        yield from map(str, sorted(calls, key=lambda call: call.began))

    def _clock(self) -> int:
        return START + len(self.stepper.steps) * self._pace

    async def _main(self) -> None:
        stepper = self.stepper
        stores = [self.world.gateway(f"gateway {number}", self._clock) for number in range(self._random.randint(2, 3))]
        for store in stores:
            await store.open()
        if self._random.random() < 0.7:
            for user_id in self._users:
                await self._do(stores[0], self._patch(user_id, {"name": "A"}))
        stepper.is_free = False
        left = self._calls
        bunches = []
        while left > 0:
            many = min(left, self._random.choice((1, 1, 2, 3)))
            bunches.append(asyncio.create_task(self._bunch(stores, many)))
            left -= many
        await asyncio.gather(*bunches)
        if self.world.late:
            await asyncio.wait(self.world.late)
        stepper.is_free = True
        for user_id in self._users:
            for store in stores:
                await self._do(store, Done(user_id, f"get {user_id}"))
        for store in stores:
            await store.close()

    async def _bunch(self, stores: list[UserStore], many: int) -> None:
        """Make some calls in one turn of a gateway's event loop, which may become one command."""
        await self.stepper.gate("calls begin")
        number = self._random.randrange(len(stores))
        users = [self._random.choice(self._users) for _ in range(many)]
        await asyncio.gather(*(self._client(f"gateway {number}", stores[number], user_id) for user_id in users))

    async def _client(self, name: str, store: UserStore, user_id: str) -> None:
        (kind,) = self._random.choices(list(self._kinds), list(self._kinds.values()))
        call = self._call(kind, user_id)
        edit = self._edit(kind, user_id)
        self.stepper.steps.append(f"{name}: {call.what} begins" if edit is None else f"by hand: {call.what}")
        if edit is None:
            await self._do(store, call)
        else:
            call.began = self.stepper.moment()
            call.answer = self.world.by_hand(user_id, edit, forgets=kind in ("old", "anew"))
            call.ended = self.stepper.moment()
            self.history.append(call)

    def _call(self, kind: str, user_id: str) -> Done:
        if kind == "again" and self.history and self.history[-1].patch is not None:
            last = self.history[-1]
            return Done(user_id, f"again {last.what}", last.patch, leave_existing=last.leave_existing)
        if kind in ("patch", "again"):
            return self._patch(user_id, self._random.choice(_PATCHES))
        if kind == "create":
            name = self._random.choice(_NAMES)
            patch = parse_new_user({"name": name}, RULES)
            return Done(user_id, f"create {user_id} {name}", patch, leave_existing=True)
        if kind == "put":
            name, overwrite = self._random.choice(_NAMES), self._random.random() < 0.5
            record = record_of(user_id, State(name, (), (), 0))
            return Done(user_id, f"put {user_id} {name} {overwrite=}", record=record, overwrite=overwrite)
        return Done(user_id, f"{kind} {user_id}", deletes=kind == "erase")

    def _patch(self, user_id: str, given: dict[str, Any]) -> Done:
        return Done(user_id, f"patch {user_id} {given}", parse_patch(given, RULES))

    def _edit(self, kind: str, user_id: str) -> Callable[[UserRecord | None], UserRecord | None] | None:
        name = self._random.choice(_NAMES)
        if kind == "delete":
            return lambda _: None
        if kind == "insert":
            # The same version as the clock's, or next to none.
            version = self._random.choice((1, self._clock()))
            new = record_of(user_id, State(name, (), (), version))
            return lambda before: before or new
        if kind == "anew":
            # Deleted, and somebody else created with the same version.
            other = record_of(user_id, State(name, (), ("new@example.com",), 0))
            return lambda before: with_version(other, before.snapshot.version) if before is not None else None
        if kind in ("edit", "old"):
            return lambda before: renamed(before, name) if before is not None else None
        return None

    async def _do(self, store: UserStore, call: Done) -> None:
        call.began = self.stepper.moment()
        call.oldest_version = self._clock()
        self.history.append(call)
        try:
            call.answer = await self._ask(store, call)
        except Exception as error:  # noqa: BLE001 - what is none of the store's errors is raised
            call.answer = outcome_of(error)
        if call.answer is not Unknown.UNKNOWN:
            call.ended = self.stepper.moment()

    async def _ask(self, store: UserStore, call: Done) -> Answer:
        if call.deletes:
            return await store.delete(call.user_id)
        if call.record is not None:
            (done,) = await store.put_many([call.record], overwrite=call.overwrite)
            return done
        if call.patch is None:
            (record,) = await store.get_many([call.user_id])
            return state_of(record)
        if call.leave_existing:
            return await store.create_if_not_exists(call.user_id, call.patch)
        return await store.patch(call.user_id, call.patch)


class _Raised(logging.Handler):
    """Whether users were given a higher version just after they were created.

    They may have been seen for a moment with the version that they had before, which no call was told.
    """

    any = False

    def emit(self, record: logging.LogRecord) -> None:
        self.any = self.any or "Its version is raised" in record.getMessage()


def _is_above_deletions(calls: list[Done]) -> bool:
    """Whether who is there at the end has a version above every deletion that was told: all of them came before.

    Nobody can say so where calls had no answer, or a program has made the user by hand, with a version of its own.
    """
    last = max(calls, key=lambda call: call.began).answer
    by_hand = any(isinstance(call.answer, Seen) and call.answer.after is not None for call in calls)
    if not isinstance(last, State) or by_hand or any(call.answer is Unknown.UNKNOWN for call in calls):
        return True
    deletions = [call.answer.version for call in calls if isinstance(call.answer, DeleteResult)]
    return (last.version or 0) > max(deletions, default=0)
