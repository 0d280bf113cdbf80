"""What gateways tell each other of changes.

A message is JSON, ``{"app": "…the app's id…", "body": …}``, and the body of one about changes is a list of them:
``[{"version": 7, "user": {…the snapshot…}}, …]``. A gateway of another version of userline may know more fields, or
fewer; what is not known is passed over.

A deletion is ``{"version": 7, "user": {"id": "alice", "name": ""}, "deleted": true}``. To a gateway that knows of none,
it is a change whose fields it was not told, and so it reads the user, and finds none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from userline.changes.channels import BusMessageError, encode_message
from userline.users.codec import snapshot_from_json, snapshot_to_json
from userline.users.record import Deletion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from userline.users.record import Change

MOST_BYTES_A_MESSAGE: Final = 1024 * 1024
"""A change that is larger has a message to itself."""


def encode_changes(changes: Iterable[Change]) -> list[object]:
    """Return the body of the message that tells the other gateways of changes."""
    return [
        {"version": item.version, "user": {"id": item.id, "name": ""}, "deleted": True}
        if isinstance(item, Deletion)
        else {"version": item.version, "user": snapshot_to_json(item)}
        for item in changes
    ]


def decode_change(value: Any) -> Change:
    """Return a change. Raises BusMessageError."""
    try:
        snapshot = snapshot_from_json(value["user"], value["version"])
    except (TypeError, KeyError) as error:
        raise BusMessageError(str(error)) from error
    if type(snapshot.version) is not int or snapshot.version < 1:
        raise BusMessageError("The version is not a positive integer.")
    return Deletion(snapshot.id, snapshot.version) if value.get("deleted") is True else snapshot


def message_of(app_id: str, changes: list[Change]) -> tuple[bytes, list[Change]]:
    """Return a message of the first changes that is not too large, and the changes that are not in it."""
    most = len(changes)
    while True:
        message = encode_message(app_id, encode_changes(changes[:most]))
        if len(message) <= MOST_BYTES_A_MESSAGE or most == 1:
            return message, changes[most:]
        most //= 2
