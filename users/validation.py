"""Checks of the values of fields: what the API allows in each.

Each check takes a value of any type and returns it as it will be stored, or raises ``ValueError`` with the rest of a
sentence that starts with the field's name. Syntax is left to libraries: email-validator (RFC 5322 and 6531, no DNS),
phonenumbers (Google's libphonenumber), langcodes (BCP 47 with the IANA registry) and pydantic-core's URL type (the
WHATWG URL standard, which browsers follow). Libraries with tables are loaded by the first value that needs them: they
take 5 MB in all, and many gateways never see such a value.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from pydantic import AnyUrl, TypeAdapter, UrlConstraints, ValidationError

from userline.users.blank import is_blank, is_invisible
from userline.users.quoting import quoted
from userline.users.rules import (
    MAX_EMAIL_CHARACTERS,
    MAX_ID_CHARACTERS,
    MAX_LOCALE_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_PATCH_KEYS,
    MAX_PHONE_CHARACTERS,
    MAX_ROLE_CHARACTERS,
    MAX_URL_CHARACTERS,
    most_patch_keys,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from userline.users.rules import Rules

T = TypeVar("T")

# Not HttpUrl, which counts the bytes of a form that it makes of the URL.
_HTTP_URL: Final[TypeAdapter[AnyUrl]] = TypeAdapter(
    Annotated[AnyUrl, UrlConstraints(allowed_schemes=["http", "https"])]
)
_SEEN = re.compile("[!-~]")
"""Hardly any text that has something to see in it is looked at further."""
_URL_START = re.compile(r"https?://[^/\\]", re.IGNORECASE)
_URL_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")
# phonenumbers leaves out what stands around a number; here it must be the whole text.
_PHONE = re.compile(r"\+[^+\x00-\x1f\x7f]*\w")
_PUSH_TOKEN = re.compile(r"(?:fcm|apns):.+", re.DOTALL)


def check_text(value: object, most: int | None = None) -> str:
    """Any string that has a UTF-8 form and at most ``most`` characters: that is looked at before anything else."""
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not {kind_of(value)}.")  # noqa: TRY004 - every check raises ValueError
    if most is not None and len(value) > most:
        raise ValueError(f"must be at most {most} characters long, not {len(value)}.")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("must be valid Unicode, without lone surrogates.") from None
    return value


def check_id(value: object) -> str:
    """A user id: 1 to 255 characters, no NUL."""
    text = check_text(value, MAX_ID_CHARACTERS)
    if not text:
        raise ValueError("must not be empty.")
    if "\0" in text:
        raise ValueError("must not contain the NUL character.")
    return text


def check_not_blank(value: object, most: int | None = None) -> str:
    """A text of at most ``most`` characters with something to see in it."""
    text = check_text(value, most)
    if not text:
        raise ValueError("must not be empty.")
    if not _SEEN.search(text) and is_blank(text):
        raise ValueError("must have at least one visible character, not only spaces and invisible characters.")
    return text


def check_name(value: object, _: Rules | None = None) -> str:
    """A display name: not blank, at most 255 characters; kept as given."""
    return check_not_blank(value, MAX_NAME_CHARACTERS)


def check_locale(value: object, _: Rules | None = None) -> str:
    """A valid BCP 47 language tag; kept as given."""
    text = check_text(value, MAX_LOCALE_CHARACTERS)
    if "_" in text:
        raise ValueError("must be an IETF language tag with hyphens between its parts, such as en-US.")
    import langcodes  # noqa: PLC0415 - see above

    try:
        valid = langcodes.tag_is_valid(text)
    except ValueError:
        valid = False
    if not valid:
        raise ValueError("must be an IETF language tag (BCP 47), such as en or pt-BR.")
    return text


def check_photo_url(value: object, _: Rules | None = None) -> str:
    """An absolute http or https URL; kept as given."""
    text = check_text(value, MAX_URL_CHARACTERS)
    try:
        if not _URL_START.match(text) or _URL_FORBIDDEN.search(text):
            raise ValueError  # noqa: TRY301 - one message for all
        _HTTP_URL.validate_python(text)
    except (ValueError, ValidationError):
        raise ValueError("must be an http or https URL, such as https://example.com/alice.png.") from None
    return text


def check_role(value: object, rules: Rules) -> str:
    """One of the configured roles, or any non-blank string where none are configured."""
    text = check_text(value, MAX_ROLE_CHARACTERS)
    if rules.roles is not None and text not in rules.roles:
        raise ValueError(f"must be one of the configured roles: {', '.join(sorted(rules.roles))}.")
    return check_not_blank(text)


def check_email(value: object) -> str:
    """One e-mail address of at most 254 characters; kept as given."""
    text = check_text(value, MAX_EMAIL_CHARACTERS)
    email_validator = _load_email_validator()
    try:
        email_validator.validate_email(
            text,
            allow_quoted_local=True,
            allow_domain_literal=True,
            check_deliverability=False,
            globally_deliverable=False,
            strict=True,
        )
    except email_validator.EmailNotValidError:
        raise ValueError("must be an e-mail address, such as alice@example.com.") from None
    return text


@cache
def _load_email_validator() -> ModuleType:
    import email_validator  # noqa: PLC0415 - see above

    # Addresses are checked for syntax alone, and names such as example.test are good syntax.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    return email_validator


def check_phone(value: object) -> str:
    """One phone number in international form that can be dialled from abroad, though perhaps not assigned; as given."""
    text = check_text(value, MAX_PHONE_CHARACTERS)
    if not _is_possible_phone(text):
        raise ValueError("must be a possible phone number in international form, such as +14155552671.")
    return text


def _is_possible_phone(text: str) -> bool:
    # phonenumbers passes over invisible characters. Two texts that look alike would be two numbers.
    if not _PHONE.fullmatch(text) or any(not character.isspace() and is_invisible(character) for character in text):
        return False
    import phonenumbers  # noqa: PLC0415 - see above

    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return False
    # Not is_possible_number, which takes numbers that can be dialled only within an area.
    return phonenumbers.is_possible_number_with_reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE


def check_list(value: object, check: Callable[[object], str], most: int) -> tuple[str, ...]:
    """Return a list of at most ``most`` values that pass ``check``, each once. A single value means a list of one."""
    items = value if isinstance(value, list | tuple) else [value]
    if len(items) > most:
        raise ValueError(too_many_entries(most, len(items)))
    checked = []
    for index, item in enumerate(items):
        try:
            checked.append(check(item))
        except ValueError as error:
            raise ValueError(f"entry {index} {error}") from None
    return tuple(dict.fromkeys(checked))


def too_many_entries(most: int, count: int) -> str:
    """Return what is said of a list of too many entries."""
    return f"must have at most {most} entries, not {count}."


def check_custom(value: object, most: int = MAX_PATCH_KEYS) -> dict[str, str | None]:
    """Return a patch of custom attributes: any key, with a string (set) or null (remove).

    ``most`` is how many a user may have.
    """
    return _check_map(value, _check_custom_value, most)


def check_push_tokens(value: object, most: int = MAX_PATCH_KEYS) -> dict[str, bool | None]:
    """Return a patch of push tokens: "fcm:TOKEN" or "apns:TOKEN", with true (register) or null (unregister).

    ``most`` is how many a user may have.
    """
    tokens = check_keys(value, most)
    for token in tokens:
        if not _PUSH_TOKEN.fullmatch(token):
            raise ValueError('keys must look like "fcm:TOKEN" or "apns:TOKEN".')
    return tokens


def check_keys(value: object, most: int = MAX_PATCH_KEYS) -> dict[str, bool | None]:
    """Return a patch of a set of keys, with true (add) or null (remove). ``most`` is how many a user may have."""
    return _check_map(value, _check_push_value, most, keys_are_private=True)


def _check_custom_value(value: object) -> str | None:
    return None if value is None else check_text(value)


def _check_push_value(value: object) -> bool | None:
    if value is None or value is True:
        return value
    raise ValueError("must be true (register) or null (unregister).")


def _check_map(
    value: object, check: Callable[[object], T], most: int, *, keys_are_private: bool = False
) -> dict[str, T]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {kind_of(value)}.")  # noqa: TRY004 - every check raises ValueError
    most = most_patch_keys(most)
    if len(value) > most:
        raise ValueError(f"must have at most {most} keys at a time, not {len(value)}.")
    checked: dict[str, T] = {}
    for key, item in value.items():
        try:
            check_text(key)
        except ValueError as error:
            raise ValueError(f"keys {error}") from None
        try:
            checked[key] = check(item)
        except ValueError as error:
            whose = "values" if keys_are_private else f"value of {quoted(key, 40)}"
            raise ValueError(f"{whose} {error}") from None
    return checked


def kind_of(value: object) -> str:
    """Return the name that JSON has for the type of ``value``."""
    kinds: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "a boolean"),
        ((int, float), "a number"),
        (str, "a string"),
        ((list, tuple), "a list"),
        (dict, "an object"),
    ]
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")
