"""The messages in which gateways publish changes.

A message is JSON, ``{"app": "…the app's id…", "body": …}``, and the body of one about changes is a list of them:
``[{"version": 7, "user": {…the snapshot…}}, …]``. A gateway of another version of userline may know more fields, or
fewer; what is not known is passed over.

What was found of a user whose write had no answer has ``"found": true`` beside it: nobody knows whether that write has
changed what everybody sees.

A deletion is ``{"version": 7, "user": {"id": "alice", "name": ""}, "deleted": true}``. To a gateway that knows of none,
it is a change whose fields it was not told, and so it reads the user, and finds none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from userline.changes.channels import BusMessageError, encode_message
from userline.users.codec import snapshot_from_json, snapshot_to_json
from userline.users.record import Deletion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from userline.users.record import Change, UserSnapshot

MOST_BYTES_A_MESSAGE: Final = 1024 * 1024
"""A change that is larger has a message to itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """The state of a user that was read after a write without an answer."""

    snapshot: UserSnapshot

    @property
    def id(self) -> str:
        """The user's id."""
        return self.snapshot.id

    @property
    def version(self) -> int:
        """The user's version."""
        return self.snapshot.version


Told: TypeAlias = "Change | Found"
"""What a message tells of a user."""


def encode_changes(changes: Iterable[Told]) -> list[object]:
    """Return the body of the message that tells the other gateways of changes."""
    return [_encode(change) for change in changes]


def _encode(told: Told) -> dict[str, object]:
    if isinstance(told, Deletion):
        return {"version": told.version, "user": {"id": told.id, "name": ""}, "deleted": True}
    if isinstance(told, Found):
        return {"version": told.version, "user": snapshot_to_json(told.snapshot), "found": True}
    return {"version": told.version, "user": snapshot_to_json(told)}


def decode_change(value: Any) -> Told:
    """Return what a message tells of a user. Raises BusMessageError."""
    try:
        snapshot = snapshot_from_json(value["user"], value["version"])
    except (TypeError, KeyError) as error:
        raise BusMessageError(str(error)) from error
    if type(snapshot.version) is not int or snapshot.version < 1:
        raise BusMessageError("The version is not a positive integer.")
    if value.get("deleted") is True:
        return Deletion(snapshot.id, snapshot.version)
    return Found(snapshot) if value.get("found") is True else snapshot


def message_of(app_id: str, changes: list[Told]) -> tuple[bytes, list[Told]]:
    """Return a message of the first changes that is not too large, and the changes that are not in it."""
    most = len(changes)
    while True:
        message = encode_message(app_id, encode_changes(changes[:most]))
        if len(message) <= MOST_BYTES_A_MESSAGE or most == 1:
            return message, changes[most:]
        most //= 2
