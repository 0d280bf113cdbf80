"""What has to be so of a user for a request to be done: conditions by the user's version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from userline.users.errors import ConditionFailed
from userline.users.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Container


class _Any:
    """Every version there can be."""

    def __contains__(self, version: object) -> bool:
        return True


ANY: Final = _Any()


@dataclass(frozen=True, slots=True)
class Condition:
    """Of the version that a user has, or that there is none. A store looks in the same atomic step as it writes."""

    wanted: Container[int] | None = None
    """The user must be there, at one of these versions. None: that is not asked for."""
    unwanted: Container[int] = frozenset()
    """If the user is there, it must be at none of these versions."""

    def is_unwanted(self, version: int) -> bool:
        """Whether a user who is there at ``version`` is at one that it must not be at."""
        return version in self.unwanted

    def check_wanted(self, user_id: str, version: int | None) -> None:
        """Raise ConditionFailed if a user at ``version`` (None: there is no such user) is none of the wanted ones."""
        if self.wanted is None:
            return
        if version is None:
            raise ConditionFailed(f"There is no user {quoted(user_id)}.")
        if version not in self.wanted:
            raise ConditionFailed(
                f"The user has changed: its version is {version}, and none of those that the request allows."
            )

    def check(self, user_id: str, version: int | None) -> None:
        """Raise ConditionFailed if it does not hold for a user at ``version`` (None: there is no such user)."""
        self.check_wanted(user_id, version)
        if version is not None and self.is_unwanted(version):
            raise ConditionFailed(f"The user is there, and its version is {version}, which the request does not allow.")
