"""The audit log: a line for each action with a server token, with who, what and which users, and never a value."""

from __future__ import annotations

import json
import logging
from itertools import islice
from typing import TYPE_CHECKING, Final

from userline.users.rules import MAX_ID_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from userline.users.viewer import Viewer

logger = logging.getLogger("userline.audit")

_LINE: Final = "%s token: %s of %d user%s"

_MOST_IDS: Final = 100
"""No valid request is about more."""

_LONGEST_LINE: Final = 3_200
"""One id of 255 characters has 3,062, if each is written as two escapes."""


def audit(viewer: Viewer, action: str, user_ids: Collection[str], request_id: str) -> None:
    """Log that the viewer is about to do ``action`` ("read", "write", "deletion") to these users.

    Logged before it is done, so that nothing is done without a line; the line of the request, with the same id, has the
    outcome. Ids are written as JSON in ASCII, so that no id can end a line or hide in it. Many long ones have several
    lines, so that none is cut where lines are.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    shown = [user_id[:MAX_ID_CHARACTERS] for user_id in islice(user_ids, _MOST_IDS)]
    for count, ids in _in_lines(shown, not_shown=len(user_ids) - len(shown)):
        given = (viewer.kind, action, count, "" if count == 1 else "s")
        # As logger.info does, which looks for the caller's file and line, too; nobody logs them, and it takes as long.
        record = logger.makeRecord(logger.name, logging.INFO, "", 0, _LINE, given, None)
        record.fields = {"request_id": request_id, "viewer": viewer.kind.value, "action": action, "users": ids}
        logger.handle(record)


def _in_lines(user_ids: list[str], not_shown: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the ids in lists that are not long, each with how many there are; the last counts the others too."""
    line: list[str] = []
    length = 2
    for user_id in user_ids:
        more = len(json.dumps(user_id))
        if line and length + more > _LONGEST_LINE:
            yield len(line), line
            line, length = [], 2
        line.append(user_id)
        length += more + 2
    yield len(line) + not_shown, line
