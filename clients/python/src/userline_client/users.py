"""Reads and writes of users by their ids. ``UserRef`` is the public class for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from userline_client.documents import CREATE, DELETE, SET
from userline_client.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from userline_client.requests import Requests
    from userline_client.snapshot import Snapshots, UserSnapshot
    from userline_client.watches import Watches


@dataclass(frozen=True, slots=True)
class CreateResult:
    """The result of ``UserRef.create_if_not_exists``."""

    user: UserSnapshot
    """The new user, or the one that existed already."""
    created: bool
    """``False`` if the user existed already; then nothing was changed."""


@dataclass(frozen=True, slots=True)
class SetResult:
    """The result of ``UserRef.set``."""

    user: UserSnapshot
    """The user after the write."""
    created: bool
    """Whether the user did not exist before."""
    changed: bool
    """Whether any field changed, private fields included."""


class Users:
    """Reads and writes users. Results are merged with what subscriptions show."""

    def __init__(self, requests: Requests, watches: Watches, snapshots: Snapshots) -> None:
        self._requests = requests
        self._watches = watches
        self._snapshots = snapshots

    async def get(self, user_id: str) -> UserSnapshot | None:
        """Return a user as it is."""
        return await self._watches.get(user_id, self._requests.in_time)

    async def create_if_not_exists(self, user_id: str, user_input: Mapping[str, object]) -> CreateResult:
        """Create a user unless there is one."""
        user, result = await self._write(CREATE, "createUserIfNotExists", user_id, user_input)
        return CreateResult(user, created=bool(result.get("created")))

    async def set(self, user_id: str, user_input: Mapping[str, object]) -> SetResult:
        """Patch a user."""
        user, result = await self._write(SET, "setUser", user_id, user_input)
        return SetResult(user, created=bool(result.get("created")), changed=bool(result.get("changed")))

    async def delete(self, user_id: str) -> bool:
        """Delete a user; return whether there was one."""
        state = self._watches.state_of(user_id)
        mark = state.delete_started()
        is_done = is_doubtful = False
        try:
            result = (await self._requests.ask(DELETE, {"id": user_id})).get("deleteUser")
            if not isinstance(result, dict) or not isinstance(result.get("deleted"), bool):
                raise ProtocolError("The gateway's answer to a deletion does not have the result.")
            is_done = True
        finally:
            is_doubtful = state.delete_ended(mark, is_done=is_done)
        self._watches.written(user_id, is_doubtful=is_doubtful)
        return bool(result["deleted"])

    async def _write(
        self, document: str, field: str, user_id: str, user_input: Mapping[str, object]
    ) -> tuple[UserSnapshot, dict[str, Any]]:
        state = self._watches.state_of(user_id)
        state.write_started()
        try:
            data = await self._requests.ask(document, {"id": user_id, "input": user_input})
            result = data.get(field)
            seen = self._snapshots.read(result.get("user")) if isinstance(result, dict) else None
            if seen is None or not isinstance(result, dict):
                raise ProtocolError("The gateway's answer to a write does not have the user.")
            is_doubtful = self._watches.state_of(user_id).take_answer(seen)
        finally:
            state.write_ended()
        self._watches.written(user_id, is_doubtful=is_doubtful)
        return seen.snapshot, result
