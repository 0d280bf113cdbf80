"""The table of fields: each field of a user, declared once. All code that handles each field is made from it.

A field more is a row here, an attribute of the snapshot or the record (``record.py``), a column
(``storage/sqlite/database.py``) and its documentation: docs/contributing.md has the recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from userline.users import validation
from userline.users.kinds import EMPTY, GIVEN_KINDS, Kind
from userline.users.rules import (
    DEFAULT_ROLE,
    MAX_EMAIL_CHARACTERS,
    MAX_ID_CHARACTERS,
    MAX_LIST_ENTRIES,
    MAX_LOCALE_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_PHONE_CHARACTERS,
    MAX_ROLE_CHARACTERS,
    MAX_URL_CHARACTERS,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from userline.users.rules import Rules

    Check: TypeAlias = Callable[[object, Rules], Any]
    """Returns a value as it is stored, or raises ValueError with the rest of a sentence that begins with the name."""


class Audience(IntEnum):
    """Who may see a field."""

    NOBODY = 0
    """It is kept, and moves with the user from store to store."""
    SERVERS = 1
    """The holders of server tokens, over the REST API."""
    EVERYBODY = 2
    """It is part of the snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a user."""

    name: str
    """The contract's name."""
    attribute: str
    """Its name in Python, and in SQL."""
    kind: Kind
    seen_by: Audience = Audience.EVERYBODY
    output: str
    """What it is, for those who read it."""
    input: str = ""
    """What it is, for those who set it. Needed for what callers set."""
    patch_input: str = ""
    """The same in a patch, where that has to say more than for a new user."""
    own_default: Any = None
    """Its default, where that is not what is empty of this kind."""
    is_required: bool = False
    """Whether there is no user without it."""
    own_check: Check | None = None
    """Whether a value is one that the contract allows. Without it, any text up to ``most_characters`` is."""
    library: str | None = None
    """The library with tables that the check needs, where it needs one."""
    most_characters: int | None = None
    """How long a text, or each text of a list, may be. The check says so too, if there is one."""
    is_blank_allowed: bool = True
    format: str | None = None
    """The format that JSON Schema has for the text, or for each text of a list."""
    pattern: str | None = None
    """The pattern that JSON Schema has for the text, or for each text of a list; the check is closer."""
    key_pattern: str | None = None
    """The pattern that JSON Schema has for the keys of a map."""
    choices: Callable[[Rules], Iterable[str] | None] = lambda _: None
    """The only values there are, or None where there are others."""
    limit: str | None = None
    """Which of the ``Limits`` says how many entries there may be."""
    entries: str = "keys"
    """What the entries of a map are called."""

    @property
    def is_public(self) -> bool:
        """Whether everybody sees it."""
        return self.seen_by is Audience.EVERYBODY

    @property
    def is_of_snapshot(self) -> bool:
        """Whether it is an attribute of the snapshot. The version is one, whoever sees it."""
        return self.is_public or self.kind is Kind.VERSION

    @property
    def is_given(self) -> bool:
        """Whether callers set it."""
        return self.kind in GIVEN_KINDS

    @property
    def is_nullable(self) -> bool:
        """Whether the value may be None."""
        return self.kind is Kind.TEXT and not self.is_required and self.default is None

    @property
    def default(self) -> Any:
        """What a user has who was given nothing else."""
        return EMPTY.get(self.kind) if self.own_default is None else self.own_default

    @property
    def check(self) -> Check:
        """Whether a value that is not null is one that the contract allows."""
        return self.own_check or partial(_check_by_kind, self)

    def most_entries(self, rules: Rules) -> int | None:
        """Return how many entries there may be, None if that is not limited."""
        return None if self.limit is None else getattr(rules.limits, self.limit)


def _check_by_kind(field: Field, value: object, rules: Rules) -> Any:
    if field.kind is Kind.TEXT:
        check_text = validation.check_text if field.is_blank_allowed else validation.check_not_blank
        return check_text(value, field.most_characters)
    most = field.most_entries(rules)
    if field.kind is Kind.LIST:
        check = partial(validation.check_text, most=field.most_characters)
        return validation.check_list(value, check, MAX_LIST_ENTRIES if most is None else most)
    if field.kind is Kind.MAP:
        return validation.check_custom(value, most or 0)
    return validation.check_keys(value, most or 0)


FIELDS: Final = (
    Field(
        name="id",
        attribute="id",
        kind=Kind.ID,
        output="Identifies the user. It is chosen at its creation and never changes. At most 255 characters.",
        is_required=True,
        most_characters=MAX_ID_CHARACTERS,
    ),
    Field(
        name="name",
        attribute="name",
        kind=Kind.TEXT,
        output="The name to show. Never blank, at most 255 characters.",
        input="The name to show. Not blank, at most 255 characters.",
        patch_input=("The name to show. Not blank, at most 255 characters, never null. Required if the user is new."),
        is_required=True,
        own_check=validation.check_name,
        most_characters=MAX_NAME_CHARACTERS,
        is_blank_allowed=False,
    ),
    Field(
        name="custom",
        attribute="custom",
        kind=Kind.MAP,
        output="Attributes of your own: a map of strings to strings.",
        input="Attributes of your own: a map of strings to strings.",
        patch_input=("A patch of the custom attributes: a key's string sets it, a key's null removes it. null = none."),
        own_check=lambda value, rules: validation.check_custom(value, rules.limits.custom_keys),
        limit="custom_keys",
    ),
    Field(
        name="locale",
        attribute="locale",
        kind=Kind.TEXT,
        output="The user's language as an IETF language tag (BCP 47), or null for the app's default locale.",
        input="An IETF language tag (BCP 47), such as en or pt-BR. null = the app's default locale.",
        own_check=validation.check_locale,
        library="langcodes",
        most_characters=MAX_LOCALE_CHARACTERS,
        format="language-tag",
    ),
    Field(
        name="photoUrl",
        attribute="photo_url",
        kind=Kind.TEXT,
        output="An http or https URL of a picture of the user.",
        input="An http or https URL of a picture of the user. null = none.",
        own_check=validation.check_photo_url,
        most_characters=MAX_URL_CHARACTERS,
        format="iri",
    ),
    Field(
        name="role",
        attribute="role",
        kind=Kind.TEXT,
        output="The user's role, `default` unless it was set. See `App.roles`.",
        input="One of the configured roles. null = `default`.",
        own_default=DEFAULT_ROLE,
        own_check=validation.check_role,
        most_characters=MAX_ROLE_CHARACTERS,
        is_blank_allowed=False,
        choices=lambda rules: rules.roles,
    ),
    Field(
        name="welcomeMessage",
        attribute="welcome_message",
        kind=Kind.TEXT,
        output="The first message that others see when they start a conversation with the user.",
        input="The first message that others see when they start a conversation with the user. null = none.",
    ),
    Field(
        name="email",
        attribute="email",
        kind=Kind.LIST,
        seen_by=Audience.SERVERS,
        output="E-mail addresses.",
        input=(
            "E-mail addresses, checked for syntax. A single string means a list of one. Replaces the whole list. "
            "Private: only back ends read it."
        ),
        own_check=lambda value, rules: validation.check_list(value, validation.check_email, rules.limits.emails),
        library="email_validator",
        most_characters=MAX_EMAIL_CHARACTERS,
        format="idn-email",
        limit="emails",
    ),
    Field(
        name="phone",
        attribute="phone",
        kind=Kind.LIST,
        seen_by=Audience.SERVERS,
        output="Phone numbers in international form.",
        input=(
            "Phone numbers in international form, such as +14155552671. A single string means a list of one. Replaces "
            "the whole list. Private: only back ends read it."
        ),
        own_check=lambda value, rules: validation.check_list(value, validation.check_phone, rules.limits.phones),
        library="phonenumbers",
        most_characters=MAX_PHONE_CHARACTERS,
        format="phone",
        pattern=r"^\+[^+]+$",
        limit="phones",
    ),
    Field(
        name="pushTokens",
        attribute="push_tokens",
        kind=Kind.KEYS,
        seen_by=Audience.SERVERS,
        output="Push tokens: a map of `fcm:TOKEN` or `apns:TOKEN` to true.",
        input="Push tokens: a map of `fcm:TOKEN` or `apns:TOKEN` to true. Private: only back ends read it.",
        patch_input=(
            "A patch of the push tokens: `fcm:TOKEN` or `apns:TOKEN` to true (register) or null (unregister). "
            "null = none. Private: only back ends read it."
        ),
        own_check=lambda value, rules: validation.check_push_tokens(value, rules.limits.push_tokens),
        key_pattern=r"^(fcm|apns):[\s\S]+$",
        limit="push_tokens",
        entries="tokens",
    ),
    Field(
        name="createdAt",
        attribute="created_at",
        kind=Kind.TIME,
        seen_by=Audience.SERVERS,
        output="Unix milliseconds.",
    ),
    Field(
        name="updatedAt",
        attribute="updated_at",
        kind=Kind.TIME,
        seen_by=Audience.SERVERS,
        output="Unix milliseconds of the last write that changed something.",
    ),
    Field(
        name="version",
        attribute="version",
        kind=Kind.VERSION,
        output=(
            "Grows with every write that changed something, private fields included, and never decreases for an id. A "
            "string of digits: compare two versions as whole numbers, and rely on nothing else."
        ),
    ),
)
"""Every field, in the contract's order."""

GIVEN: Final = tuple(field for field in FIELDS if field.is_given)
"""What callers set."""

READ_ONLY: Final = tuple(field for field in FIELDS if not field.is_given and field.seen_by >= Audience.SERVERS)
"""What servers see and nobody sets. A patch may have it, if it is as stored."""

PUBLIC: Final = tuple(field for field in FIELDS if field.is_public)
"""What everybody sees."""

LOOKS: Final = tuple(field for field in PUBLIC if field.is_given)
"""What everybody sees of a user and may change: two states that have the same of it look the same."""

BY_ATTRIBUTE: Final = {field.attribute: field for field in FIELDS}
