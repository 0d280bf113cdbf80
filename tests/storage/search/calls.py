"""What may be done to a user in a schedule, and what a sequential user would have answered."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from userline.storage.protocol import DeleteResult, WriteResult
from userline.users.errors import BadUserInput, NameRequired, StoreUnavailable
from userline.users.patch import UserPatch, apply
from userline.users.record import UserRecord, UserSnapshot
from userline.users.replacement import Put
from userline.users.rules import Limits, Rules

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

RULES = Rules(Limits(custom_keys=2))


class State(NamedTuple):
    """A user, and its version if it was told. Times are left out."""

    name: str
    custom: tuple[tuple[str, str], ...]
    email: tuple[str, ...]
    version: int | None

    @property
    def content(self) -> tuple[object, ...]:
        return self[:3]

    def is_also(self, other: State) -> bool:
        return self.content == other.content and (
            self.version is None or other.version is None or self.version == other.version
        )


class Unknown(Enum):
    """A call without an answer."""

    UNKNOWN = "no answer"


class Seen(NamedTuple):
    """What a program that wrote by hand found, and what it left."""

    before: State | None
    after: State | None


Answer: TypeAlias = "State | WriteResult | DeleteResult | Put | Seen | Exception | Unknown | None"


def record_state(record: UserRecord) -> State:
    custom = tuple(sorted(record.snapshot.custom.items()))
    return State(record.snapshot.name, custom, record.email, record.snapshot.version)


def state_of(record: UserRecord | None) -> State | None:
    return record_state(record) if record is not None else None


def record_of(user_id: str, state: State) -> UserRecord:
    snapshot = UserSnapshot(
        id=user_id,
        version=state.version or 0,
        name=state.name,
        custom=MappingProxyType(dict(state.custom)),
        locale=None,
        photo_url=None,
        role="default",
        welcome_message=None,
    )
    return UserRecord(
        snapshot=snapshot, email=state.email, phone=(), push_tokens=frozenset(), created_at=0, updated_at=0
    )


def _agree(seen: State | None, state: State | None) -> bool:
    return seen is state if seen is None or state is None else seen.is_also(state)


@dataclass(slots=True, eq=False)
class Done:
    """A call with its answer; see :class:`~.linear.Call`."""

    user_id: str
    what: str
    patch: UserPatch | None = None
    record: UserRecord | None = None
    leave_existing: bool = False
    overwrite: bool = False
    deletes: bool = False
    began: int = 0
    ended: float = math.inf
    oldest_version: int = 0
    """The clock when the call began: what it creates or changes has this version at least."""
    answer: Answer = field(default=Unknown.UNKNOWN)

    def follow(self, before: Hashable) -> Iterable[State | None]:
        assert before is None or isinstance(before, State)
        if isinstance(self.answer, Seen):
            return [self.answer.after] if _agree(self.answer.before, before) else []
        if self.deletes:
            return self._follow_deletion(before)
        if self.record is not None:
            return self._follow_put(self.record, before)
        if self.patch is not None:
            return self._follow_patch(self.patch, before)
        if isinstance(self.answer, Unknown):
            return [before]
        assert not isinstance(self.answer, WriteResult | DeleteResult | Put | Exception)
        return [self.answer or before] if _agree(self.answer, before) else []

    def _follow_deletion(self, before: State | None) -> Iterable[State | None]:
        if self.answer is Unknown.UNKNOWN:
            return [None]
        if not isinstance(self.answer, DeleteResult):
            return []
        if before is None:
            return [] if self.answer.deleted else [None]
        newer = before.version is None or self.answer.version > before.version
        return [None] if self.answer.deleted and newer else []

    def _follow_put(self, record: UserRecord, before: State | None) -> Iterable[State | None]:
        put_there = record_state(record)._replace(version=None)
        outcomes: dict[Put, State | None] = {}
        if before is None:
            outcomes[Put.CREATED] = put_there
            outcomes[Put.DELETED] = None
        elif self.overwrite:
            outcomes[Put.REPLACED] = put_there
        else:
            outcomes[Put.KEPT] = before
        if before is not None and before.content == put_there.content:
            outcomes[Put.SAME] = before  # if the times are the same as well, which are not looked at here
        return [after for what, after in outcomes.items() if self.answer in (what, Unknown.UNKNOWN)]

    def _follow_patch(self, patch: UserPatch, before: State | None) -> Iterable[State | None]:
        there = record_of(self.user_id, before) if before is not None else None
        try:
            if there is not None and self.leave_existing:
                after = there
            else:
                after = apply(patch, there, user_id=self.user_id, now=0, rules=RULES)
        except BadUserInput as error:
            return [before] if type(self.answer) is type(error) or self.answer is Unknown.UNKNOWN else []
        changed = after is not there
        expected = record_state(after)._replace(version=None) if changed else before
        if self.answer is Unknown.UNKNOWN:
            return [expected]
        if not isinstance(self.answer, WriteResult) or self.answer.changed is not changed:
            return []
        told_before, told_after = state_of(self.answer.before), record_state(self.answer.after)
        if not _agree(told_before, before) or not _agree(told_after, expected):
            return []
        least = (told_before.version or 0) + 1 if told_before is not None else 1
        if changed and self.answer.after.snapshot.version < max(self.oldest_version, least):
            return []
        return [told_after]

    def __str__(self) -> str:
        answer: object = self.answer
        if isinstance(answer, WriteResult):
            answer = f"{state_of(answer.before)} -> {state_of(answer.after) if answer.changed else 'the same'}"
        elif isinstance(answer, Exception):
            answer = type(answer).__name__
        return f"[{self.began:3} to {self.ended:3}] {self.what}: {answer}"


def outcome_of(error: Exception) -> Answer:
    """Return the answer that an error is. Any that a store does not promise is raised again."""
    if isinstance(error, StoreUnavailable):
        return Unknown.UNKNOWN
    if isinstance(error, BadUserInput | NameRequired):
        return error
    raise error


def with_version(record: UserRecord, version: int) -> UserRecord:
    return replace(record, snapshot=replace(record.snapshot, version=version))


def renamed(record: UserRecord, name: str) -> UserRecord:
    """Return the user as an edit by hand leaves it, which counts the version."""
    renamed = replace(record, snapshot=replace(record.snapshot, name=name))
    return with_version(renamed, record.snapshot.version + 1)
