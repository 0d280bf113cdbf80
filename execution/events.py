"""The size limit of one event of ``usersChanged``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.execution.operation import AnswerTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterable

EVENT_BYTES: Final = 524_288
"""How large an event becomes by its number of users: many clients take no message of more than 1 MiB."""


def fill(entries: Iterable[bytes], around: int, most: int) -> list[bytes]:
    """Return as many entries, one at least, as make an event of ``EVENT_BYTES`` with ``around`` bytes beside them.

    Raises AnswerTooLarge if the first one makes it larger than ``most``.
    """
    limit = min(EVENT_BYTES, most)
    taken: list[bytes] = []
    size = around - 1
    for entry in entries:
        size += len(entry) + 1  # with a comma, which the last one does not have
        if size > limit and taken:
            break
        taken.append(entry)
    if len(taken) == 1 and around + len(taken[0]) > most:
        raise AnswerTooLarge(most)
    return taken
