"""Each check of a value: what it lets through unchanged, and the sentence about what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import texts
from userline.users import validation
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_CHECKS: list[Callable[[object], str]] = [
    validation.check_text,
    validation.check_id,
    validation.check_name,
    validation.check_locale,
    validation.check_photo_url,
    validation.check_email,
    validation.check_phone,
    lambda value: validation.check_role(value, Rules()),
]


NOTHING_TO_SEE = "must have at least one visible character, not only spaces and invisible characters."


def refusal(check: Callable[[object], Any], value: object) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        check(value)
    return str(caught.value)


@pytest.mark.parametrize("check", TEXT_CHECKS)
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "a boolean"),
        (1, "a number"),
        (1.5, "a number"),
        ([], "a list"),
        (("a",), "a list"),
        ({}, "an object"),
    ],
)
def test_what_must_be_a_string_says_what_it_got(check: Callable[[object], str], value: object, kind: str) -> None:
    assert refusal(check, value) == f"must be a string, not {kind}."


@pytest.mark.parametrize("check", TEXT_CHECKS)
def test_lone_surrogates_are_refused_everywhere(check: Callable[[object], str]) -> None:
    assert refusal(check, "a\ud800") == "must be valid Unicode, without lone surrogates."


@given(texts)
def test_any_unicode_text_is_text(text: str) -> None:
    assert validation.check_text(text) == text


@pytest.mark.parametrize(
    "value", ["a", " ", "a/b", "a.b", "$where", "👩🏽‍🚀", "..", "%00", "\n", "a" * 255, "👩" * 255]
)
def test_good_ids(value: str) -> None:
    assert validation.check_id(value) == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "must not be empty."),
        ("a" * 256, "must be at most 255 characters long, not 256."),
        ("a\0b", "must not contain the NUL character."),
    ],
)
def test_bad_ids(value: str, message: str) -> None:
    assert refusal(validation.check_id, value) == message


@pytest.mark.parametrize("value", ["A", " Alice ", "\t.", "👩🏽‍🚀", "مرحبا", "a" * 255])
def test_good_names_are_kept_as_given(value: str) -> None:
    assert validation.check_name(value) == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "must not be empty."),
        (" \t\n", NOTHING_TO_SEE),
        ("\u3000\u00a0", NOTHING_TO_SEE),
        ("\u3164", NOTHING_TO_SEE),
        ("\u200b\ufeff\u2060", NOTHING_TO_SEE),
        ("\0", NOTHING_TO_SEE),
        ("a" * 256, "must be at most 255 characters long, not 256."),
    ],
)
def test_bad_names(value: str, message: str) -> None:
    assert refusal(validation.check_name, value) == message


@pytest.mark.parametrize(
    "value",
    ["en", "EN-us", "pt-BR", "zh-Hant-TW", "de-419", "de-CH-1996", "x-private", "i-klingon", "en-US-u-ca-buddhist"],
)
def test_good_locales_are_kept_as_given(value: str) -> None:
    assert validation.check_locale(value) == value


@pytest.mark.parametrize(
    "value", ["", "e", "xx", "en-", "-en", "en US", "en\n", "zzz-QQ", "en-x-", "de-1996-1996", "\u0435n", "123"]
)
def test_bad_locales(value: str) -> None:
    assert refusal(validation.check_locale, value) == "must be an IETF language tag (BCP 47), such as en or pt-BR."


def test_a_locale_with_an_underscore_is_told_about_hyphens() -> None:
    message = refusal(validation.check_locale, "en_US")
    assert message == "must be an IETF language tag with hyphens between its parts, such as en-US."


def test_a_locale_is_bounded() -> None:
    assert refusal(validation.check_locale, "en-" + "a" * 253) == "must be at most 255 characters long, not 256."


@pytest.mark.parametrize(
    "value",
    [
        "http://a",
        "https://example.com/alice.png",
        "HTTPS://EXAMPLE.COM/A.PNG?size=1&x=%00#y",
        "http://localhost:8000/a",
        "http://[::1]/",
        "http://é.example/é",
        "https://example.com/" + "a" * (2083 - 20),
    ],
)
def test_good_photo_urls_are_kept_as_given(value: str) -> None:
    assert validation.check_photo_url(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "alice.png",
        "//example.com/a",
        "http:a",
        "https://",
        "https:///a",
        "http:///\\a",
        "http://?a",
        "ftp://example.com/a",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        " https://example.com",
        "https://example.com\n",
        "https://exam ple.com",
        "https://example.com/\0",
        "http://[::1",
        "http://a:99999",
        "http://256.1.1.1",
    ],
)
def test_bad_photo_urls(value: str) -> None:
    message = refusal(validation.check_photo_url, value)
    assert message == "must be an http or https URL, such as https://example.com/alice.png."


def test_a_photo_url_is_bounded() -> None:
    message = refusal(validation.check_photo_url, "https://example.com/" + "a" * 2064)
    assert message == "must be at most 2083 characters long, not 2084."


def test_any_role_goes_where_none_are_configured() -> None:
    assert validation.check_role("a.b 👩🏽‍🚀", Rules()) == "a.b 👩🏽‍🚀"
    assert refusal(lambda value: validation.check_role(value, Rules()), " ") == NOTHING_TO_SEE
    message = refusal(lambda value: validation.check_role(value, Rules()), "a" * 256)
    assert message == "must be at most 255 characters long, not 256."


def test_only_configured_roles_go() -> None:
    rules = Rules(roles=frozenset({"default", "agent"}))
    assert validation.check_role("agent", rules) == "agent"
    for value in ("admin", "Agent", ""):
        message = refusal(lambda value: validation.check_role(value, rules), value)
        assert message == "must be one of the configured roles: agent, default."


@pytest.mark.parametrize(
    "value",
    [
        "alice@example.com",
        "ALICE+x@Example.COM",
        "a@localhost",
        "a@example.test",
        "a@[127.0.0.1]",
        '"a b"@example.com',
        "δοκιμή@παράδειγμα.δοκιμή",
        "a@xn--nxasmq6b.com",
    ],
)
def test_good_emails_are_kept_as_given(value: str) -> None:
    assert validation.check_email(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "alice",
        "@example.com",
        "a@",
        "a@@b.co",
        "a.@b.co",
        "a@b..co",
        "a@-b.co",
        " a@b.co",
        "a@b.co\n",
        "A <a@b.co>",
    ],
)
def test_bad_emails(value: str) -> None:
    assert refusal(validation.check_email, value) == "must be an e-mail address, such as alice@example.com."


@pytest.mark.parametrize(
    "value",
    ["+14155552671", "+1 (415) 555-2671", "+31 20 123 4567", "+49 30/123456", "+442071838750", "+14155552671;ext=5"],
)
def test_good_phones_are_kept_as_given(value: str) -> None:
    assert validation.check_phone(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "+",
        "4155552671",
        "004915112345678",
        "+1415",
        "+999123456789",
        "++14155552671",
        " +14155552671",
        "+14155552671\n",
        "+14155552671\0",
        "+14155552671!",
        "+14155552671, +14155552672",
        "+14155552671 or so",
        "tel:+14155552671",
        "+1" + "4" * 200,
        "+15552671",
        "+1 555 2671",
        "+4420 7946",
        *(f"+1{character}4155552671" for character in "\u200b\u200e\u00ad\u2060\ufeff\u3164\u180e\ufe0f"),
    ],
)
def test_bad_phones(value: str) -> None:
    message = refusal(validation.check_phone, value)
    assert message == "must be a possible phone number in international form, such as +14155552671."


@pytest.mark.parametrize(
    ("check", "most"),
    [
        (validation.check_id, 255),
        (validation.check_name, 255),
        (validation.check_locale, 255),
        (validation.check_photo_url, 2083),
        (lambda value: validation.check_role(value, Rules(roles=frozenset({"default"}))), 255),
        (validation.check_email, 254),
        (validation.check_phone, 250),
    ],
    ids=["id", "name", "locale", "photoUrl", "role", "email", "phone"],
)
def test_what_is_too_long_is_looked_at_no_further(
    check: Callable[[object], object], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("it was looked at")

    monkeypatch.setattr("email_validator.validate_email", fail)
    monkeypatch.setattr("phonenumbers.parse", fail)
    monkeypatch.setattr("langcodes.tag_is_valid", fail)
    for text in ("a", "é", " ", "\0", "\ud800", "a@", "+1", "a-"):
        for length in (most + 1, 5 * most, 1_000_000):
            value = (text * length)[:length]
            assert refusal(check, value) == f"must be at most {most} characters long, not {length}."


def test_a_list_may_be_a_single_value() -> None:
    assert validation.check_list("a", validation.check_text, 1) == ("a",)
    assert validation.check_list(["a", "b"], validation.check_text, 2) == ("a", "b")
    assert validation.check_list([], validation.check_text, 0) == ()


def test_a_list_names_its_first_bad_entry() -> None:
    message = refusal(lambda value: validation.check_list(value, validation.check_name, 9), ["a", "", 1])
    assert message == "entry 1 must not be empty."


def test_a_list_is_bounded() -> None:
    message = refusal(lambda value: validation.check_list(value, validation.check_text, 2), ["a", "b", "c"])
    assert message == "must have at most 2 entries, not 3."


def area_numbers() -> list[str]:
    """Numbers that are possible within an area only, of every country that has such."""
    numbers = []
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
        assert metadata is not None
        lengths = metadata.general_desc.possible_length_local_only if metadata.general_desc else ()
        code = phonenumbers.country_code_for_region(region)
        numbers += [f"+{code}{'2' * length}" for length in lengths]
    return numbers


def test_numbers_of_an_area_alone_are_refused_in_every_country() -> None:
    numbers = area_numbers()
    assert len(numbers) > 100
    for number in numbers:
        reason = phonenumbers.is_possible_number_with_reason(phonenumbers.parse(number, None))
        if reason == phonenumbers.ValidationResult.IS_POSSIBLE_LOCAL_ONLY:
            refusal(validation.check_phone, number)


@pytest.mark.parametrize("character", "aé中👩")
def test_urls_are_measured_in_characters(character: str) -> None:
    start = "https://example.com/"
    longest = start + character * (2083 - len(start))
    assert validation.check_photo_url(longest) == longest
    assert refusal(validation.check_photo_url, longest + "a") == "must be at most 2083 characters long, not 2084."


@given(st.lists(st.sampled_from(["a@example.com", "A@example.com", "b@example.com"]), max_size=20))
def test_equal_entries_of_a_list_are_kept_once(addresses: list[str]) -> None:
    kept = validation.check_list(addresses, validation.check_email, 20)
    assert list(kept) == list(dict.fromkeys(addresses))
