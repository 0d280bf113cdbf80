"""Reads and writes of users by their ids. ``UserRef`` is the public class for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from userline_client.documents import CREATE, DELETE, SET
from userline_client.errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from userline_client.requests import Requests
    from userline_client.snapshot import Snapshots, UserSnapshot
    from userline_client.watches import Watches

T = TypeVar("T")


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

        def read(user: UserSnapshot, result: Mapping[str, Any]) -> CreateResult:
            return CreateResult(user, created=bool(result.get("created")))

        return await self._write(CREATE, "createUserIfNotExists", user_id, user_input, read)

    async def set(self, user_id: str, user_input: Mapping[str, object]) -> SetResult:
        """Patch a user."""

        def read(user: UserSnapshot, result: Mapping[str, Any]) -> SetResult:
            return SetResult(user, created=bool(result.get("created")), changed=bool(result.get("changed")))

        return await self._write(SET, "setUser", user_id, user_input, read)

    async def delete(self, user_id: str) -> bool:
        """Delete a user; return whether there was one."""
        state = self._watches.state_of(user_id)
        mark = state.delete_started()

        def take(data: dict[str, Any]) -> bool:
            result = data.get("deleteUser")
            if not isinstance(result, dict) or not isinstance(result.get("deleted"), bool):
                raise ProtocolError("The gateway's answer to a deletion does not have the result.")
            self._snapshots.forget(user_id)
            now = self._watches.state_of(user_id)
            # Of another one nothing was known when the deletion began.
            is_doubtful = now.take_deletion(mark if now is state else 0)
            self._watches.written(user_id, is_doubtful=is_doubtful)
            return bool(result["deleted"])

        try:
            return await self._requests.ask(DELETE, {"id": user_id}, take)
        finally:
            state.delete_ended()

    async def _write(
        self,
        document: str,
        field: str,
        user_id: str,
        user_input: Mapping[str, object],
        read: Callable[[UserSnapshot, Mapping[str, Any]], T],
    ) -> T:
        state = self._watches.state_of(user_id)
        nones = state.write_started()

        def take(data: dict[str, Any]) -> T:
            result = data.get(field)
            now = self._watches.state_of(user_id)  # another one, if what was known before is forgotten by now
            seen = self._snapshots.read(result.get("user"), now.news_from) if isinstance(result, dict) else None
            if seen is None or not isinstance(result, dict):
                raise ProtocolError("The gateway's answer to a write does not have the user.")
            is_doubtful = now.take_answer(seen, nones)
            self._watches.written(user_id, is_doubtful=is_doubtful)
            known = now.snapshot
            return read(known if known is not None and known == seen.snapshot else seen.snapshot, result)

        return await self._requests.ask(document, {"id": user_id, "input": user_input}, take)
