"""One subscription to many users."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING

from userline_client.subscription import UsersSubscription, UserSubscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from userline_client.errors import UserlineError
    from userline_client.snapshot import UserSnapshot
    from userline_client.states import Failed, Unsubscribed
    from userline_client.watches import Watches


class _Member(UserSubscription):
    """The subscription to one of them, which hands on what becomes of it."""

    def __init__(self, user_id: str, many: _Many, watches: Watches) -> None:
        super().__init__(lambda snapshot: many.show(user_id, snapshot), watches.remove)
        self._many = many

    def end(self, state: Unsubscribed | Failed, error: UserlineError) -> None:
        """Go to a last state, and take the others along."""
        super().end(state, error)
        self._many.end(state, error)


class _Many:
    """Puts together what the subscriptions to the users say."""

    def __init__(
        self,
        watches: Watches,
        user_ids: Iterable[str],
        on_snapshot: Callable[[Mapping[str, UserSnapshot | None]], None] | None,
    ) -> None:
        self.whole: UsersSubscription = UsersSubscription(on_snapshot, lambda _: self._end_members())
        self._known: dict[str, UserSnapshot | None] = dict.fromkeys(user_ids)
        self._missing = set(self._known)
        self._is_scheduled = False
        self._members = [_Member(user_id, self, watches) for user_id in self._known]
        for user_id, member in zip(self._known, self._members, strict=True):
            watches.add(user_id, member)
        self._schedule()

    def show(self, user_id: str, snapshot: UserSnapshot | None) -> None:
        """Take what one of them is now."""
        self._known[user_id] = snapshot
        self._missing.discard(user_id)
        self._schedule()

    def end(self, state: Unsubscribed | Failed, error: UserlineError) -> None:
        """Take that the subscription to one of them has ended."""
        if not self.whole.is_over:
            self.whole.end(state, error)
            self._end_members()

    def _end_members(self) -> None:
        for member in self._members:
            member.unsubscribe()

    def _schedule(self) -> None:
        if not self._missing and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._show)

    def _show(self) -> None:
        self._is_scheduled = False
        self.whole.show(MappingProxyType(dict(self._known)))


def watch_many(
    watches: Watches,
    user_ids: Iterable[str],
    on_snapshot: Callable[[Mapping[str, UserSnapshot | None]], None] | None,
) -> UsersSubscription:
    """Subscribe to many users at once."""
    return _Many(watches, user_ids, on_snapshot).whole
