"""Which users without watchers the hub still holds."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from userline.changes.held import Entry


class Idle(OrderedDict[str, None]):
    """The users that nobody watches, at most ``capacity``, the next to go first. Who goes is taken out of ``entries``.

    Those that nobody has asked for since they were last passed over go first (the second-chance algorithm): a hit then
    costs no more than a mark.
    """

    def __init__(self, entries: dict[str, Entry], capacity: int) -> None:
        super().__init__()
        self._of_all = entries
        self._capacity = capacity

    def keep(self, user_id: str) -> None:
        """Hold a user for as long as there is room."""
        if not self._capacity:
            del self._of_all[user_id]
        elif user_id not in self:
            self._make_room()
            self[user_id] = None

    def forget(self) -> None:
        """Hold none of them any more."""
        for user_id in self:
            del self._of_all[user_id]
        self.clear()

    def _make_room(self) -> None:
        while len(self) >= self._capacity:
            next_to_go = next(iter(self))
            entry = self._of_all[next_to_go]
            if entry.used:
                entry.used = False
                self.move_to_end(next_to_go)
            else:
                del self[next_to_go], self._of_all[next_to_go]
