"""The patch: what a caller wants changed of a user, and the one pure function that says what comes of it.

:func:`apply` is the reference for every store: a store does what it does, atomically.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import orjson

from userline.users import validation
from userline.users.codec import encoded_size
from userline.users.errors import BadUserInput, NameRequired, Problem
from userline.users.record import UserRecord, UserSnapshot
from userline.users.rules import DEFAULT_ROLE, Rules
from userline.users.versions import next_version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class _Unset(Enum):
    UNSET = "left out"

    def __bool__(self) -> Literal[False]:
        return False


UNSET: Final = _Unset.UNSET
"""A field that the caller left out: it stays as it is."""

Unset: TypeAlias = Literal[_Unset.UNSET]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPatch:
    """A valid patch. ``UNSET`` = unchanged, ``None`` = back to the default, a value = set.

    ``custom`` and ``push_tokens`` are patches themselves: a key's ``None`` removes it. Made by :func:`parse_patch`.
    """

    name: str | Unset = UNSET
    custom: Mapping[str, str | None] | Unset | None = UNSET
    locale: str | Unset | None = UNSET
    photo_url: str | Unset | None = UNSET
    role: str | Unset | None = UNSET
    welcome_message: str | Unset | None = UNSET
    email: tuple[str, ...] | Unset | None = UNSET
    phone: tuple[str, ...] | Unset | None = UNSET
    push_tokens: Mapping[str, bool | None] | Unset | None = UNSET


# The contract's name of each field, in the contract's order, with the patch's name and the check of a value.
_FIELDS: dict[str, tuple[str, Callable[[object, Rules], Any]]] = {
    "name": ("name", lambda value, _: validation.check_name(value)),
    "custom": ("custom", lambda value, r: validation.check_custom(value, r.limits.custom_keys)),
    "locale": ("locale", lambda value, _: validation.check_locale(value)),
    "photoUrl": ("photo_url", lambda value, _: validation.check_photo_url(value)),
    "role": ("role", validation.check_role),
    "welcomeMessage": ("welcome_message", lambda value, _: validation.check_text(value)),
    "email": ("email", lambda value, r: validation.check_list(value, validation.check_email, r.limits.emails)),
    "phone": ("phone", lambda value, r: validation.check_list(value, validation.check_phone, r.limits.phones)),
    "pushTokens": ("push_tokens", lambda value, r: validation.check_push_tokens(value, r.limits.push_tokens)),
}


_MOST_UNKNOWN = 50
_LONGEST_NAME = 100


def parse_id(value: object, field: str = "id") -> str:
    """Return ``value`` if it is a user id. Raises BadUserInput that names ``field``."""
    try:
        return validation.check_id(value)
    except ValueError as error:
        raise BadUserInput([Problem(field, f"{field} {error}")]) from None


def parse_patch(given: Mapping[str, object], rules: Rules) -> UserPatch:
    """Return the patch that ``given`` (contract names to values) asks for.

    Raises BadUserInput with every problem of every field.
    """
    problems = _unknown_fields(given)
    values: dict[str, Any] = {}
    for name, (attribute, check) in _FIELDS.items():
        if name not in given:
            continue
        value = given[name]
        if value is None:
            if name == "name":
                problems.append(Problem(name, "name is required and cannot be null."))
            values[attribute] = None
            continue
        try:
            values[attribute] = check(value, rules)
        except ValueError as error:
            problems.append(Problem(name, f"{name} {error}"))
    if problems:
        raise BadUserInput(problems)
    return UserPatch(**values)


def _unknown_fields(given: Mapping[str, object]) -> list[Problem]:
    """Return what is wrong with names that no field has: the first ones, and how many more there are."""
    unknown = [name for name in given if name not in _FIELDS]
    shown = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in unknown[:_MOST_UNKNOWN]]
    problems = [Problem(name, f"{name} is not a field of a user.") for name in shown]
    if len(unknown) > len(shown):
        more = len(unknown) - len(shown)
        problems.append(Problem(shown[-1], f"{shown[-1]} is followed by {more} more that are not fields of a user."))
    return problems


def parse_new_user(given: Mapping[str, object], rules: Rules) -> UserPatch:
    """Return the patch that makes a new user of ``given``, where null means left out.

    Raises BadUserInput with every problem of every field, a missing name among them.
    """
    present = {name: value for name, value in given.items() if value is not None}
    return parse_patch(present if "name" in present else {**present, "name": None}, rules)


def apply(patch: UserPatch, before: UserRecord | None, *, user_id: str, now: int, rules: Rules) -> UserRecord:
    """Return what ``before`` (None: no such user) becomes under ``patch``: ``before`` itself if nothing changes.

    ``now`` is in Unix milliseconds. Raises NameRequired if the user would be created without a name, and BadUserInput
    if the outcome is past a limit; a record that is past one already may still shrink.
    """
    if before is None:
        if patch.name is UNSET:
            raise NameRequired
        start = _blank(user_id, patch.name, now)
    else:
        start = before
    snapshot = start.snapshot
    after = replace(
        start,
        snapshot=replace(
            snapshot,
            name=_value(patch.name, snapshot.name, snapshot.name),
            custom=_patched_custom(patch.custom, snapshot.custom),
            locale=_value(patch.locale, snapshot.locale, None),
            photo_url=_value(patch.photo_url, snapshot.photo_url, None),
            role=_value(patch.role, snapshot.role, DEFAULT_ROLE),
            welcome_message=_value(patch.welcome_message, snapshot.welcome_message, None),
        ),
        email=_value(patch.email, start.email, ()),
        phone=_value(patch.phone, start.phone, ()),
        push_tokens=_patched_tokens(patch.push_tokens, start.push_tokens),
    )
    if before is not None:
        if after == before:
            return before
        after = replace(
            after,
            snapshot=replace(after.snapshot, version=next_version(snapshot.version, now)),
            updated_at=max(now, before.updated_at),
        )
    _check_limits(patch, before, after, rules)
    return after


def _blank(user_id: str, name: str, now: int) -> UserRecord:
    return UserRecord(
        snapshot=UserSnapshot(
            id=user_id,
            version=next_version(0, now),
            name=name,
            custom=MappingProxyType({}),
            locale=None,
            photo_url=None,
            role=DEFAULT_ROLE,
            welcome_message=None,
        ),
        email=(),
        phone=(),
        push_tokens=frozenset(),
        created_at=now,
        updated_at=now,
    )


def _value(given: Any, current: Any, default: Any) -> Any:
    if given is UNSET:
        return current
    return default if given is None else given


def _patched_custom(patch: Mapping[str, str | None] | Unset | None, current: Mapping[str, str]) -> Mapping[str, str]:
    if patch is UNSET:
        return current
    if patch is None:
        return MappingProxyType({})
    merged = {**current, **patch}
    return MappingProxyType({key: value for key, value in merged.items() if value is not None})


def _patched_tokens(patch: Mapping[str, bool | None] | Unset | None, current: frozenset[str]) -> frozenset[str]:
    if patch is UNSET:
        return current
    if patch is None:
        return frozenset()
    added = {token for token, registered in patch.items() if registered}
    return current.difference(patch) | added


def _check_limits(patch: UserPatch, before: UserRecord | None, after: UserRecord, rules: Rules) -> None:
    limits = rules.limits
    problems = []
    had_keys = len(before.snapshot.custom) if before else 0
    if len(after.snapshot.custom) > max(limits.custom_keys, had_keys):
        problems.append(_too_many("custom", "keys", len(after.snapshot.custom), limits.custom_keys))
    had_tokens = len(before.push_tokens) if before else 0
    if len(after.push_tokens) > max(limits.push_tokens, had_tokens):
        problems.append(_too_many("pushTokens", "tokens", len(after.push_tokens), limits.push_tokens))
    size = encoded_size(after)
    if size > limits.record_bytes and not (before and size <= encoded_size(before)):
        name = _largest_field(patch)
        problems.append(
            Problem(name, f"{name} makes the user {size} bytes large; the limit is {limits.record_bytes} bytes.")
        )
    if problems:
        raise BadUserInput(problems)


def _too_many(name: str, what: str, count: int, most: int) -> Problem:
    return Problem(name, f"{name} would have {count} {what}; the limit is {most}.")


def _largest_field(patch: UserPatch) -> str:
    """Return the contract's name of the field that brings the most bytes."""
    given = {name: getattr(patch, attribute) for name, (attribute, _) in _FIELDS.items()}
    sizes = {name: len(orjson.dumps(value)) for name, value in given.items() if value is not UNSET}
    return max(sizes, key=lambda name: sizes[name])
