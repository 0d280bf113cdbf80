"""The patch: the changes of a user that a caller wants, and ``apply``, the pure function that applies them.

:func:`apply` is the reference for every store: a store does what it does, atomically.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from userline.common.texts import cut
from userline.users import validation
from userline.users.codec import encoded_size, record_to_json
from userline.users.errors import BadUserInput, NameRequired, Problem
from userline.users.fields import BY_ATTRIBUTE, GIVEN, READ_ONLY
from userline.users.kinds import PATCHED, Kind
from userline.users.quoting import quoted
from userline.users.record import UserRecord, UserSnapshot
from userline.users.versions import next_version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from userline.users.condition import Condition
    from userline.users.fields import Field
    from userline.users.rules import Rules


@dataclass(frozen=True, slots=True, init=False)
class UserPatch:
    """A valid patch, by the attributes of the fields. What is missing is unchanged; ``None`` = back to the default.

    The value of a map or of a set of keys is a patch itself: a key's ``None`` removes it. Made by :func:`parse_patch`.
    """

    given: Mapping[str, Any]
    as_stored: Mapping[str, Any]
    """What is read-only and came with the patch, by the contract's names: the patch is refused if it is not so."""
    condition: Condition | None
    """What has to be so of the user, or the patch is refused."""
    unchecked: Collection[str]
    """The attributes whose lists were not checked: the patch is refused if they have an entry that is not stored."""

    def __init__(
        self,
        as_stored: Mapping[str, Any] | None = None,
        condition: Condition | None = None,
        unchecked: Collection[str] = (),
        /,
        **given: Any,
    ) -> None:
        object.__setattr__(self, "given", given)
        object.__setattr__(self, "as_stored", as_stored or {})
        object.__setattr__(self, "condition", condition)
        object.__setattr__(self, "unchecked", unchecked)

    def under(self, condition: Condition | None) -> UserPatch:
        """Return this patch under a condition."""
        return self if condition is None else UserPatch(self.as_stored, condition, self.unchecked, **self.given)


# What is needed for each write is looked up in the table of fields once, here.
_CHECKS: Final = tuple((field.name, field.attribute, field.check, field.is_required) for field in GIVEN)
_NAMES: Final = frozenset(field.name for field in (*GIVEN, *READ_ONLY))
_READ_ONLY: Final = tuple(field.name for field in READ_ONLY)
_PATCHED: Final = {field.attribute: (PATCHED[field.kind], field.default, field.is_of_snapshot) for field in GIVEN}
_BLANK_SNAPSHOT: Final = {field.attribute: field.default for field in GIVEN if field.is_of_snapshot}
_BLANK_RECORD: Final = {field.attribute: field.default for field in GIVEN if not field.is_of_snapshot}
_COUNTED: Final = tuple(field for field in GIVEN if field.limit is not None)
_LISTED: Final = {field.name: field for field in _COUNTED if field.kind is Kind.LIST}


_MOST_UNKNOWN = 50
_LONGEST_NAME = 100
_LIMIT_RAISED = "was past a limit that is higher now: send it again."
_FAR_TOO_LARGE = 65_536
"""How many characters past the limit a patch is refused whoever the user is."""


def parse_id(value: object, field: str = "id") -> str:
    """Return ``value`` if it is a user id. Raises BadUserInput that names ``field``."""
    try:
        return validation.check_id(value)
    except ValueError as error:
        raise BadUserInput([Problem(field, f"{field} {error}")]) from None


def parse_patch(given: Mapping[str, object], rules: Rules, *, any_size: bool = False) -> UserPatch:
    """Return the patch that ``given`` (contract names to values) asks for.

    What nobody sets may be there too, as whoever has read a whole user sends it back: ``apply`` compares it. A patch
    that makes any user far too large, or gives it too many entries, is refused, unless it may have ``any_size``: then
    ``apply`` sees whether the user has them already. Raises BadUserInput with every problem of every field.
    """
    held_to = _any_number(rules) if any_size else rules
    problems = _unknown_fields(given)
    values: dict[str, Any] = {}
    unchecked: tuple[str, ...] = ()
    for name, attribute, check, is_required in _CHECKS:
        if name not in given:
            continue
        value = given[name]
        if value is None:
            if is_required:
                problems.append(Problem(name, f"{name} is required and cannot be null."))
            values[attribute] = None
            continue
        try:
            too_long = _too_long(name, value, rules) if any_size else None
            if too_long is None:
                values[attribute] = check(value, held_to)
            else:
                values[attribute] = too_long
                unchecked += (attribute,)
        except ValueError as error:
            problems.append(Problem(name, f"{name} {error}"))
    if not (problems or any_size) and _least_size(values) > rules.limits.record_bytes + _FAR_TOO_LARGE:
        # It need not wait for the store, and be held meanwhile, to be refused there with all that is wrong.
        name = _largest_field(values)
        limit = rules.limits.record_bytes
        problems.append(Problem(name, _far_too_large(name, limit)))
    if problems:
        raise BadUserInput(problems)
    return UserPatch({name: given[name] for name in _READ_ONLY if name in given}, None, unchecked, **values)


@lru_cache(maxsize=16)
def _any_number(rules: Rules) -> Rules:
    """Return the rules for a patch of maps that may have any number of keys."""
    maps = {field.limit: sys.maxsize for field in _COUNTED if field.limit and field.kind is not Kind.LIST}
    return replace(rules, limits=replace(rules.limits, **maps))


def _too_long(name: str, value: object, rules: Rules) -> tuple[str, ...] | None:
    """Return a list that is past its limit, each entry once, or None: then ``value`` is to be checked as any other.

    Its entries are texts, and nothing else is looked at, because ``apply`` takes only what is stored already.
    """
    field = _LISTED.get(name)
    if field is None or not isinstance(value, list | tuple):
        return None
    most = field.most_entries(rules) or 0
    if len(value) <= most:
        return None
    entries = validation.check_list(value, validation.check_text, len(value))
    return entries if len(entries) > most else None


def _far_too_large(name: str, limit: int) -> str:
    return (
        f"{name} makes the user larger than {limit} bytes, which is the limit. If the user is larger already, send "
        "only the fields that change, and null for those to remove."
    )


def _least_size(values: Mapping[str, Any]) -> int:
    """Return how many bytes any user has at least of whom this was set: that is, its characters."""
    size = 0
    for value in values.values():
        if type(value) is str:
            size += len(value)
        elif type(value) is dict:
            size += sum(len(key) + (len(item) if type(item) is str else 0) for key, item in value.items() if item)
        elif value is not None:
            size += sum(map(len, value))
    return size


def _unknown_fields(given: Mapping[str, object]) -> list[Problem]:
    """Return what is wrong with names that no field has: the first ones, and how many more there are."""
    unknown = [name for name in given if name not in _NAMES]
    if not unknown:
        return []
    shown = [cut(name, _LONGEST_NAME) for name in unknown[:_MOST_UNKNOWN]]
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


def apply(  # noqa: PLR0913 - each is something else
    patch: UserPatch, before: UserRecord | None, *, user_id: str, now: int, rules: Rules, deleted: int = 0
) -> UserRecord:
    """Return what ``before`` (None: no such user) becomes under ``patch``: ``before`` itself if nothing changes.

    ``now`` is in Unix milliseconds. ``deleted`` is the version of the last deletion of such a user (0: none is known).
    Raises ConditionFailed if the patch has a condition that does not hold, NameRequired if the user would be created
    without a name, and BadUserInput if what is read-only is not as stored, or the outcome is past a limit; a record
    that is past one already may still shrink.
    """
    if patch.condition is not None:
        patch.condition.check(user_id, None if before is None else before.snapshot.version)
    if patch.as_stored:
        _check_as_stored(patch, before, user_id)
    public: dict[str, Any] = {}
    private: dict[str, Any] = {}
    for attribute, given in patch.given.items():
        patched, default, is_of_snapshot = _PATCHED[attribute]
        current = default if before is None else getattr(before.snapshot if is_of_snapshot else before, attribute)
        after = default if given is None else patched(given, current)
        if before is None or after != current:
            (public if is_of_snapshot else private)[attribute] = after
    if before is None:
        record = _new_record(user_id, public, private, now, deleted)
    elif public or private:
        snapshot = replace(before.snapshot, version=next_version(before.snapshot.version, now), **public)
        record = replace(before, snapshot=snapshot, updated_at=max(now, before.updated_at), **private)
    else:
        return before
    _check_limits(patch, before, record, rules)
    return record


def _new_record(user_id: str, public: dict[str, Any], private: dict[str, Any], now: int, deleted: int) -> UserRecord:
    if "name" not in public:
        raise NameRequired(user_id)
    snapshot = UserSnapshot(id=user_id, version=next_version(deleted, now), **(_BLANK_SNAPSHOT | public))
    return UserRecord(snapshot=snapshot, created_at=now, updated_at=now, **(_BLANK_RECORD | private))


def _check_as_stored(patch: UserPatch, before: UserRecord | None, user_id: str) -> None:
    stored = {"id": user_id} if before is None else record_to_json(before)
    problems = []
    for name, value in patch.as_stored.items():
        if name not in stored:
            complaint = f"{name} is read-only, and there is no user {quoted(user_id)}: leave it out."
            problems.append(Problem(name, complaint))
        # By type, too: to Python, 1 is 1.0 and True.
        elif type(value) is not type(stored[name]) or value != stored[name]:
            problems.append(
                Problem(
                    name,
                    f"{name} is read-only and differs from the stored value: leave it out, or read the user again.",
                )
            )
    if problems:
        raise BadUserInput(problems)


def _check_limits(patch: UserPatch, before: UserRecord | None, after: UserRecord, rules: Rules) -> None:
    limits = rules.limits
    problems = []
    for field in _COUNTED:
        if field.attribute not in patch.given:
            continue
        most = field.most_entries(rules)
        entries, had = _entries(field, after), _entries(field, before) if before else ()
        if most is None or (len(entries) <= most and field.attribute not in patch.unchecked):
            continue
        if field.kind is Kind.LIST and not set(entries) <= set(had):
            is_past = len(entries) > most
            why = validation.too_many_entries(most, len(entries)) if is_past else _LIMIT_RAISED
            problems.append(Problem(field.name, f"{field.name} {why}"))
        elif len(entries) > len(had):
            problems.append(_too_many(field.name, field.entries, len(entries), most))
    size = encoded_size(after)
    if size > limits.record_bytes and not (before and size <= encoded_size(before)):
        name = _largest_field(patch.given)
        problems.append(
            Problem(name, f"{name} makes the user {size} bytes large; the limit is {limits.record_bytes} bytes.")
        )
    if problems:
        raise BadUserInput(problems)


def _entries(field: Field, record: UserRecord) -> Collection[str]:
    entries: Collection[str] = getattr(record.snapshot if field.is_of_snapshot else record, field.attribute)
    return entries


def _too_many(name: str, what: str, count: int, most: int) -> Problem:
    return Problem(name, f"{name} would have {count} {what}; the limit is {most}.")


def _largest_field(given: Mapping[str, Any]) -> str:
    """Return the contract's name of the field, of some by their attributes, that brings the most bytes."""
    sizes = {BY_ATTRIBUTE[attribute].name: len(orjson.dumps(value)) for attribute, value in given.items()}
    return max(sizes, key=lambda name: sizes[name])
