"""Viewers: who sends a request, and what they may write."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from userline.users.errors import Forbidden, UserSyncDisabled
from userline.users.quoting import quoted


class ViewerKind(StrEnum):
    """The kind of a viewer's token."""

    OPEN = "open"
    """None: the gateway runs open, for development, and everybody may do everything that the API can do."""
    USER = "user"
    """The token of one user, as a frontend has it."""
    APP = "app"
    """The app's own token, as a back end has it."""


class ClientUserSyncing(StrEnum):
    """What user tokens may write."""

    OFF = "off"
    """Nothing."""
    OWN = "own"
    """Their own user."""
    ANY = "any"
    """Every user."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who sends a request. ``user_id`` is set for user tokens; ``expires_at`` is in Unix seconds, None for never."""

    kind: ViewerKind
    user_id: str | None = None
    expires_at: float | None = None
    key_id: bytes = field(default=b"", compare=False, repr=False)
    """Names the key that the token was checked with: when that is gone, so is what the token allows."""


OPEN_VIEWER = Viewer(ViewerKind.OPEN)


def check_may_list(viewer: Viewer) -> None:
    """Return if the viewer may be told of users whose ids it has not given. Raises Forbidden."""
    if viewer.kind is ViewerKind.USER:
        raise Forbidden("Only the app's back end may list users; ask for users by their ids.")


def check_may_delete(viewer: Viewer, user_id: str, *, self_deletion: bool) -> None:
    """Return if the viewer may delete this user. Raises Forbidden."""
    if viewer.kind is not ViewerKind.USER:
        return
    if not self_deletion:
        raise Forbidden("Only the app's back end may delete users.")
    if viewer.user_id != user_id:
        raise Forbidden(f"A user token may delete its own user only, and {quoted(user_id)} is another.")


def check_may_write(viewer: Viewer, user_id: str, syncing: ClientUserSyncing) -> None:
    """Return if the viewer may write this user. Raises UserSyncDisabled or Forbidden."""
    if viewer.kind is not ViewerKind.USER or syncing is ClientUserSyncing.ANY:
        return
    if syncing is ClientUserSyncing.OFF:
        raise UserSyncDisabled("In this app clients may not write users; only its back end may.")
    if viewer.user_id != user_id:
        raise Forbidden(f"A user token may write its own user only, and {quoted(user_id)} is another.")
