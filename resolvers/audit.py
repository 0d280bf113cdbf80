"""A line in the log for whatever is done with a server token: who, what, to whom, and never a value."""

from __future__ import annotations

import json
import logging
from itertools import islice
from typing import TYPE_CHECKING, Final

from userline.users.rules import MAX_ID_CHARACTERS
from userline.users.viewer import ViewerKind

if TYPE_CHECKING:
    from collections.abc import Collection

    from userline.users.viewer import Viewer

logger = logging.getLogger("userline.audit")

_MOST_IDS: Final = 100
"""No valid request is about more."""


def audit_server_token(viewer: Viewer, action: str, user_id: str, request_id: str) -> None:
    """Log as ``audit`` does if the viewer has shown a server token."""
    if viewer.kind is ViewerKind.APP:
        audit(viewer, action, [user_id], request_id)


def audit(viewer: Viewer, action: str, user_ids: Collection[str], request_id: str) -> None:
    """Log that the viewer is about to do ``action`` ("read", "write") to these users.

    Logged before it is done, so that nothing is done without a line; the line of the request, with the same id, has the
    outcome. Ids are written as JSON in ASCII, so that no id can end a line or hide in it.
    """
    logger.info(
        "%s token: %s of %d user%s %s (request id %s)",
        viewer.kind,
        action,
        len(user_ids),
        "" if len(user_ids) == 1 else "s",
        json.dumps([user_id[:MAX_ID_CHARACTERS] for user_id in islice(user_ids, _MOST_IDS)]),
        request_id,
    )
