"""Whether calls that overlapped could have been made one after the other: Wing and Gong's algorithm, with a memo."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence


class Call(Protocol):
    """A call on one user, from the step at which it began to that at which it was answered."""

    began: int
    ended: float
    """Infinity if it had no answer: it may have happened at any time since, or never."""

    def follow(self, state: Hashable) -> Iterable[Hashable]:
        """Return what the user may be after the call if it was ``state`` before; nothing if its answer was wrong."""


@dataclass(slots=True)
class _Search:
    calls: Sequence[Call]
    seen: set[tuple[int, Hashable]] = field(default_factory=set)

    def run(self, done: int, state: Hashable) -> bool:
        if (done, state) in self.seen:
            return False
        self.seen.add((done, state))
        left = [(number, call) for number, call in enumerate(self.calls) if not done >> number & 1]
        first_end = min((call.ended for _, call in left), default=math.inf)
        if first_end == math.inf:
            return True
        return any(
            self.run(done | 1 << number, after)
            for number, call in left
            if call.began <= first_end
            for after in call.follow(state)
        )


def could_be_sequential(calls: Sequence[Call], start: Hashable) -> bool:
    """Return whether there is an order of the calls that explains every answer, from the state ``start`` on."""
    return _Search(calls).run(0, start)
