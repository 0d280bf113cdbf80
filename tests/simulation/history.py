"""What has become of each user, as the store knows it, and whether what somebody saw fits to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from userline.users.record import UserSnapshot


class State(NamedTuple):
    """What everybody may see of a user at one version. ``version`` is None where it was not told."""

    version: int | None
    content: Hashable


def content_of(snapshot: UserSnapshot) -> Hashable:
    """Return what is looked at of a user's content: what the simulation writes."""
    return snapshot.name, tuple(sorted(snapshot.custom.items()))


def state_of(snapshot: UserSnapshot | None) -> State | None:
    """Return the state that a snapshot shows; None: there is no such user."""
    return None if snapshot is None else State(snapshot.version, content_of(snapshot))


class History:
    """The states of each user in their order, the absence of the user among them."""

    def __init__(self) -> None:
        self._of_users: dict[str, list[State | None]] = {}
        self.problems: list[str] = []
        self.changes = 0
        """How many states there were."""
        self.acknowledged: set[tuple[str, State | None]] = set()
        """What writes were answered with."""
        self._low: dict[str, tuple[State, int]] = {}
        """Who was created with a version that is not above one that the user had before, and that version."""

    def of(self, user_id: str) -> list[State | None]:
        """Return all states of a user. There was none at first."""
        return self._of_users.setdefault(user_id, [None])

    def now(self, user_id: str) -> State | None:
        """Return the state of a user now."""
        return self.of(user_id)[-1]

    def place_now(self, user_id: str) -> int:
        """Return the place of the state of now."""
        return len(self.of(user_id)) - 1

    def note(self, users: Mapping[str, UserSnapshot | None]) -> None:
        """Take note of what the store has now."""
        for user_id, snapshot in users.items():
            states = self.of(user_id)
            state = state_of(snapshot)
            if state == states[-1]:
                continue
            self.changes += 1
            if state is not None:
                self._compare(user_id, state, states)
            else:
                self._low.pop(user_id, None)
            states.append(state)

    def is_low(self, user_id: str) -> bool:
        """Whether a user has a version that nobody could raise, because the creation had no answer.

        It was done late, or its gateway has died. Who has seen a higher version may not show the user.
        """
        return user_id in self._low and (user_id, self._low[user_id][0]) not in self.acknowledged

    def low(self) -> list[str]:
        """Return who has a version that should have been raised before the creation was answered."""
        return [
            f"{user_id} was created as {state}, which is not above version {newest}"
            for user_id, (state, newest) in self._low.items()
            if (user_id, state) in self.acknowledged
        ]

    def _compare(self, user_id: str, state: State, states: list[State | None]) -> None:
        newest = max((each.version or 0 for each in states if each is not None), default=0)
        if (state.version or 0) > newest:
            self._low.pop(user_id, None)
        elif states[-1] is None:
            # A creation that looked for a deletion before there was one looks again when the user is there.
            self._low[user_id] = state, newest
        elif user_id not in self._low:
            self.problems.append(f"the store went back with {user_id}: {state} after version {newest}")

    def place(self, user_id: str, seen: State | None, since: int) -> int | None:
        """Return the first place of what was seen in the history, not before ``since``; None if it is not there."""
        states = self.of(user_id)
        for place in range(since, len(states)):
            if _fits(seen, states[place]):
                return place
        return None

    def is_now(self, user_id: str, seen: State | None) -> bool:
        """Whether what was seen last is what there is: a version that looks the same is as good."""
        now = self.now(user_id)
        return seen is now if seen is None or now is None else seen.content == now.content


def _fits(seen: State | None, state: State | None) -> bool:
    if seen is None or state is None:
        return seen is state
    return seen.content == state.content and (seen.version is None or seen.version == state.version)


class Floor:
    """What somebody has seen of users, to whom nothing older may be shown."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._places: dict[str, int] = {}

    def of(self, user_id: str) -> int:
        """Return the place in the history that was seen last."""
        return self._places.get(user_id, 0)

    def raise_to(self, user_id: str, place: int) -> None:
        """Take note that somebody was shown this place."""
        if place > self.of(user_id):
            self._places[user_id] = place

    def take(self, user_id: str, seen: State | None, since: int | None = None) -> str | None:
        """Take what was seen; return what is wrong with it. ``since`` is the floor of when it was asked for."""
        floor = self.of(user_id) if since is None else since
        place = self._history.place(user_id, seen, floor)
        if place is not None:
            self.raise_to(user_id, place)
            return None
        if self._history.place(user_id, seen, 0) is None:
            return f"{user_id} never was {seen}"
        return f"{user_id} went back to {seen} after {self._history.of(user_id)[floor]}"
