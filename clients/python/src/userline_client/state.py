"""What is known of one user: states merged by version, wherever they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from userline_client.snapshot import Seen, UserSnapshot


class UserState:
    """The newest that was seen of a user.

    Events of the gateway come in their order, answers to writes at any moment beside them, and after a lost connection
    another gateway may be a little behind. Versions put snapshots in order. That there is no user (``None``) has no
    version: it counts when an event says so, except where it may be older than a write of this session. Then the
    methods return ``True``: ask the gateway anew, and let those who read wait.
    """

    __slots__ = (
        "_asked_again",
        "_deletes",
        "_greatest",
        "_is_doubtful",
        "_is_told",
        "_nones",
        "_taken",
        "_unconfirmed",
        "is_known",
        "snapshot",
    )

    def __init__(self) -> None:
        self.is_known: bool = False
        """Whether anything is known; ``snapshot`` means nothing before."""
        self.snapshot: UserSnapshot | None = None
        self._greatest = -1
        self._taken = 0
        self._unconfirmed: int | None = None  # the version of an own write that no event has told of yet
        self._is_told = False  # the operation has said the greatest version itself
        self._is_doubtful = False  # "no user" was said by one that has not: its gateway may have been behind
        self._asked_again = False
        self._nones = 0  # how often an event has said that there is no user
        self._deletes = 0

    @property
    def news_from(self) -> int:
        """From which version on a snapshot is what is shown, or newer."""
        return self._greatest + (self.is_known and self.snapshot is None)

    def hear(self, seen: Seen | None, *, is_first: bool) -> bool:
        """Take an event; ``is_first`` if it is the first one of its operation that is about this user."""
        if is_first:
            self._is_told = False
        if seen is None:
            return self._hear_none()
        if seen.version >= self._greatest:
            self._is_told = True
        if self._unconfirmed is not None and seen.version >= self._unconfirmed:
            self._unconfirmed = None
            self._asked_again = False
        is_back = seen.version == self._greatest and self.snapshot is None and self._is_doubtful
        if seen.version > self._greatest or is_back or not self.is_known:
            self._take(seen)
        return False

    def write_started(self) -> int:
        """Note that a write of this session is under way, and return what to say with its answer."""
        return self._nones

    def take_answer(self, seen: Seen, nones: int) -> bool:
        """Take the answer to a write; ``nones`` is what was said at the beginning."""
        if seen.version < self._greatest or (seen.version == self._greatest and self.snapshot is not None):
            return False
        is_unsure = self._nones > nones
        if seen.version > self._greatest:
            self._take(seen)
            self._unconfirmed = seen.version
            self._is_told = False
        elif not is_unsure:
            return False
        self._asked_again = is_unsure
        return is_unsure

    def delete_started(self) -> int:
        """Note that a deletion by this session is under way, and return what to say at its end."""
        self._deletes += 1
        return self._taken

    def delete_ended(self) -> None:
        """Note the end of a deletion."""
        self._deletes -= 1

    def take_deletion(self, taken: int) -> bool:
        """Take that the gateway has deleted the user; ``taken`` is what was said at the beginning."""
        if self._taken != taken:
            return self.snapshot is not None
        self.is_known = True
        self.snapshot = None
        self._is_doubtful = False
        self._unconfirmed = None
        return False

    def _hear_none(self) -> bool:
        if self._unconfirmed is not None and not self._deletes and not self._asked_again:
            self._asked_again = True
            return True
        self._nones += 1
        self._asked_again = False
        self._unconfirmed = None
        self._is_doubtful = not self._is_told
        self.is_known = True
        self.snapshot = None
        return False

    def _take(self, seen: Seen) -> None:
        self._greatest = seen.version
        self._taken += 1
        self.is_known = True
        self._is_doubtful = False
        if self.snapshot != seen.snapshot:
            self.snapshot = seen.snapshot


_MAX_REMEMBERED: Final = 1_000


class Remembered:
    """What was seen or written last of users who are not watched, so that they do not go back; of the latest ones."""

    def __init__(self) -> None:
        self._states: dict[str, UserState] = {}

    def state_of(self, user_id: str) -> UserState:
        """Return what is remembered of a user, and go on remembering it."""
        state = self.take(user_id)
        self.keep(user_id, state)
        return state

    def take(self, user_id: str) -> UserState:
        """Return what is remembered of a user, and remember it no more."""
        state = self._states.pop(user_id, None)
        return UserState() if state is None else state

    def keep(self, user_id: str, state: UserState) -> None:
        """Remember what is known of a user."""
        self._states[user_id] = state
        if len(self._states) > _MAX_REMEMBERED:
            del self._states[next(iter(self._states))]
