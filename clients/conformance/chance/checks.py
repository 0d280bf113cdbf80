"""What is so of every client at every moment, whatever a script does: docs/client-behaviour.md, as checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from clients.conformance.world import Failure

if TYPE_CHECKING:
    from clients.conformance.chance.player import Player, Watched

_ENDED = {"unsubscribed", "error"}
_LATE = 15.0
"""By when every request has had an answer, or an error that says that there is none."""


class Checks:
    """Looks at a client after each step."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self._last: dict[str, Any] = {}
        """The states in which subscriptions were seen last."""
        self._checked: dict[str, int] = {}
        self._greatest: dict[tuple[str, str], int] = {}

    def look(self, states: dict[str, Any]) -> None:
        """See that everything is in order."""
        player = self._player
        if player.cue.wrong:
            raise Failure(f"To the gateway: {player.cue.wrong}")
        for watched in player.subscriptions:
            name = watched.handle.name
            state = states.get(name, "not made")
            if state == "not made":
                self._see(not watched.handle.shown, f"{name} is shown something, and was not made")
                continue
            self._look_at_what_was_shown(watched, self._last.get(name))
            self._look_at_state(watched, state)
        for label, began in player.since.items():
            is_late = player.passed - began > _LATE and not player.calls[label].done()
            self._see(not is_late, f"{label} has waited for {player.passed - began} s (line 29)")
        self._last = states

    @staticmethod
    def _see(is_so: object, what: str) -> None:
        if not is_so:
            raise Failure(what)

    def _look_at_state(self, watched: Watched, state: dict[str, Any]) -> None:
        name, shown = watched.handle.name, watched.handle.shown
        before = self._last.get(name, {"type": "pending"})
        if before != "not made" and before["type"] in _ENDED:
            self._see(state == before, f"{name} had ended as {before}, and is {state} now (line 19)")
        if state["type"] == "pending":
            self._see(not shown, f"{name} is pending, and was shown something (line 19)")
            self._see(before == "not made" or before["type"] == "pending", f"{name} is pending again (line 19)")
        if state["type"] == "active":
            latest = _without("object", state["latestSnapshot"])
            self._see(shown and latest == _without("object", shown[-1]), f"{name} is {state}, not what it has shown")

    def _look_at_what_was_shown(self, watched: Watched, before: Any) -> None:
        name, shown = watched.handle.name, watched.handle.shown
        first = self._checked.get(name, 0)
        self._checked[name] = len(shown)
        if len(shown) > first:
            is_over = (
                before not in {None, "not made"} if isinstance(before, str) else before and before["type"] in _ENDED
            )
            self._see(not is_over, f"{name} is shown something after its end (line 19)")
        for place in range(first, len(shown)):
            value = _without("object", shown[place])
            if place:
                is_new = _without("version", value) != _without("version", _without("object", shown[place - 1]))
                self._see(is_new, f"{name} is shown the same twice in a row: {value} (line 25)")
            users = _users_in(value, watched)
            self._see(set(users) == set(watched.users), f"{name} is shown {sorted(users)}")
            for user_id, user in users.items():
                self._look_at_user(name, user_id, user)

    def _look_at_user(self, name: str, user_id: str, user: Any) -> None:
        if user is None:
            return
        self._see(
            json.dumps(user, sort_keys=True) in self._player.cue.known, f"{name} is shown what nobody said: {user}"
        )
        self._see(user["id"] == user_id, f"{name} is shown {user['id']!r} as {user_id!r}")
        version, greatest = int(user["version"]), self._greatest.get((name, user_id), -1)
        self._see(version >= greatest, f"{name} is shown the version {version} after {greatest} (line 12)")
        self._greatest[name, user_id] = version

    async def see_that_all_is_well(self) -> None:
        """See that nothing waits for ever, and that everybody is shown what is the case."""
        player = self._player
        states = await player.states()
        self.look(states)
        users = player.cue.gateway.users
        for watched in player.subscriptions:
            state = states.get(watched.handle.name, "not made")
            if state == "not made" or state["type"] in _ENDED:
                continue
            self._see(state["type"] == "active", f"{watched.handle.name} is pending for ever (line 29)")
            for user_id, user in _users_in(state["latestSnapshot"], watched).items():
                self._see_that_it_is_so(watched.handle.name, user_id, user, users.get(user_id))
        waiting = [label for label, call in player.calls.items() if not call.done() and not _may_wait(label)]
        self._see(not waiting, f"{waiting} wait for ever")

    def see_what_was_got(self, label: str, user_id: str, outcome: Any, user: Any) -> None:
        """See that a ``get()`` in the end, of a session that can be used, has the user as it is."""
        error = outcome.get("error", {}) if isinstance(outcome, dict) else {"code": outcome}
        self._see(error.get("code", "SESSION_CLOSED") == "SESSION_CLOSED", f"{label} fails: {error}")
        if not error:
            got = outcome["ok"]
            self._see_that_it_is_so(label, user_id, got and got["user"], user)

    def _see_that_it_is_so(self, name: str, user_id: str, shown: Any, user: Any) -> None:
        is_so = _without("version", shown) == _without("version", user)
        self._see(is_so, f"To {name}, {user_id!r} is {shown} in the end, and not {user}")


def _may_wait(label: str) -> bool:
    """Whether what has not ended yet is something that waits for what may never come."""
    return label.endswith(" terminated") or " next " in label


def _users_in(value: Any, watched: Watched) -> dict[str, Any]:
    """Return the users that a value shows, by their ids."""
    if watched.kind == "users":
        return {user_id: user and user["user"] for user_id, user in value["users"]}
    if watched.kind == "online":
        value = value["user"]
    return {watched.users[0]: value and value["user"]}


def _without(name: str, value: Any) -> Any:
    """Return a value without the members of this name, however deep they are."""
    match value:
        case dict():
            return {key: _without(name, each) for key, each in value.items() if key != name}
        case list():
            return [_without(name, each) for each in value]
    return value
