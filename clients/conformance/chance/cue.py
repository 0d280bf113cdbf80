"""A gateway that answers on cue: late, in parts, or not; and sees what it is asked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clients.conformance.chance.running import Running, slot_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from clients.conformance.gateway import End, Gateway

Message = dict[str, Any]
_MOST_IDS = 1000


class Cue:
    """Makes a gateway answer on cue."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.is_holding = False
        self.is_old = False
        self.refused: dict[str | None, tuple[int, str]] = {}
        """The tokens that are no good, and what sockets with them are closed with."""
        self._asked: list[tuple[str, Running]] = []
        self.wrong: list[str] = []
        """What they must not have done."""
        self.known: set[str] = set()
        """All that users have ever been said to be."""
        self._running: list[Running] = []
        self.history: dict[str, list[Message]] = {}
        """What each user has been, one after the other."""
        self._limits: dict[End, Message] = {}
        gateway.hook = self._take
        gateway.refuse_token = self.refused.get
        self._put = gateway.put
        gateway.put = self._note_user  # type: ignore[method-assign] # it is looked at, and does the same

    # What comes from the client

    def _take(self, end: End, message: Message) -> bool:
        kind = message["type"]
        if kind == "connection_init":
            self._limits[end] = self.gateway.limits or {}
        elif kind == "complete":
            for running in [each for each in self.running() if each.end is end and each.id == message["id"]]:
                self._asked.append(("end", running))
                self._running.remove(running)
        elif kind == "subscribe":
            running = Running(end, message, [])
            running.untold = running.ids if running.field == "usersChanged" else [running.field]
            self._asked.append(("begin", running))
            self._check(running)
            self._running.append(running)
            if self.is_old and running.field == "usersChanged":
                self._end(running, lambda: end.refuse(running.id, "GRAPHQL_VALIDATION_FAILED"))
            elif not self.is_holding:
                self._answer(running)
            return True
        return False

    def _check(self, new: Running) -> None:
        others = [each for each in self.running() if each.end is new.end]
        told = self._limits[new.end]
        if any(each["id"] == new.id for each in new.end.subscribed[:-1]):
            self.wrong.append(f"the id {new.id} is used again")
        if len(json.dumps(new.message, ensure_ascii=False, separators=(",", ":")).encode()) > told.get(
            "messageBytes", 65_536
        ):
            self.wrong.append("a message is too large")
        watches = [each for each in (*others, new) if each.field in {"usersChanged", "userOnlineChanged"}]
        if len(watches) > told.get("subscriptions", 1000):
            self.wrong.append(f"{len(watches)} subscriptions on one socket")
        users = [user for each in watches if each.field == "usersChanged" for user in each.ids]
        if len(users) > told.get("watchedUsers", 5000):
            self.wrong.append(f"{len(users)} users are watched over one socket")
        if len(new.ids) > _MOST_IDS or len(set(new.ids)) < len(new.ids):
            self.wrong.append(f"an operation asks twice for somebody, or for too many: {new.ids}")

    def _note_user(self, user_id: str, **fields: Any) -> Message:
        user = self._put(user_id, **fields)
        self.history.setdefault(user_id, []).append(user)
        self.note(user)
        return user

    def note(self, user: Message) -> None:
        """Note that somebody is said to be this."""
        self.known.add(json.dumps(user, sort_keys=True))

    # What is there

    def running(self) -> list[Running]:
        """Return the operations that are not over, in an order that is the same for all clients."""
        self._running = [each for each in self._running if not each.end.is_closed and not each.end.is_swallowed]
        return sorted(self._running, key=lambda each: each.label)

    def asked(self, *, is_grouping_free: bool) -> list[str]:
        """Return what clients have begun and ended since ``forget``. Who closes a socket need not end what it has.

        If clients are free in which users they watch together, each is told alone.
        """
        return sorted(
            f"{kind} {label}"
            for kind, running in self._asked
            if not (running.end.is_closed and kind == "end")
            for label in (running.labels if is_grouping_free else [running.label])
        )

    def forget(self) -> None:
        """Forget what clients have begun and ended."""
        self._asked.clear()

    def sockets(self) -> list[End]:
        """Return the sockets that are let in."""
        return sorted(self.gateway.live, key=slot_of)

    def recover(self) -> None:
        """Be well again: let everybody in, answer everything, and tell everybody what is the case."""
        self.is_holding = self.is_old = False
        for end in self.gateway.connections:
            if end.is_swallowed or not end.is_acknowledged:
                end.cut()
        self.refused.clear()
        self.gateway.door = "open"
        self.gateway.limits = {"messageBytes": 4096, "subscriptions": 100, "watchedUsers": 100}
        for running in self.running():
            if running.untold:
                self._answer(running)
        for user_id in self.history:
            if user_id in self.gateway.users:
                self._change(lambda user_id=user_id: self.gateway.set(user_id), told=True)  # type: ignore[misc]
            else:
                self.gateway.changed([user_id])

    # How it is done

    def _change(self, change: Callable[[], object], *, told: bool) -> None:
        self.gateway.is_telling = told
        change()
        self.gateway.is_telling = True

    def _answer(self, running: Running, count: int | None = None) -> None:
        if running.field == "usersChanged":
            told = running.untold[:count]
            self._tell_of(running, told)
            running.end.next(running.id, {"usersChanged": [self.gateway.entry(each) for each in told]})
            return
        running.untold.clear()
        if running.is_write:
            self._perform(running)
            running.end.next(running.id, {running.field: running.result})
            self._end(running, lambda: None)
            return
        if running.field == "app":
            self._running.remove(running)
        self.gateway.run(running.end, running.id, running.message["payload"])

    def _perform(self, running: Running) -> None:
        """Do what a write says, unless that is done."""
        if running.result is not None:
            return
        variables = running.message["payload"]["variables"]
        user_id = variables["id"]
        before = self.gateway.users.get(user_id)
        if running.field == "deleteUser":
            running.result = {"deleted": self.gateway.delete(user_id)}
        elif running.field == "setUser":
            user = self.gateway.set(user_id, **variables["input"])
            running.result = {"user": user, "created": before is None, "changed": True}
        else:
            user = before or self.gateway.set(user_id, **variables["input"])
            running.result = {"user": user, "created": before is None}

    def _tell_of(self, running: Running, told: Iterable[str]) -> None:
        for user_id in told:
            if user_id in running.untold:
                running.untold.remove(user_id)
        watched = set(running.ids) - set(running.untold)
        running.end.operations[running.id] = watched

    def _end(self, running: Running, last: Callable[[], None] | None) -> None:
        """End an operation: by what says so, or by ``complete`` after it."""
        self._running.remove(running)
        if last is None:
            running.end.operations.pop(running.id, None)
        else:
            last()
            running.end.complete(running.id)
