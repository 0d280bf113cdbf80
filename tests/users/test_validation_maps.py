"""The checks of maps: custom attributes and push tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.strategies import ODD_TEXTS
from userline.users import validation

if TYPE_CHECKING:
    from collections.abc import Callable


def refusal(check: Callable[[object], Any], value: object) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        check(value)
    return str(caught.value)


def test_a_custom_patch_may_have_any_keys_and_texts() -> None:
    patch: dict[str, str | None] = {text: text for text in ODD_TEXTS} | {"a.b": None, "$unset": None}
    assert validation.check_custom(patch) == patch


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a", "must be an object, not a string."),
        (["a"], "must be an object, not a list."),
        (7, "must be an object, not a number."),
        ({1: "a"}, "keys must be a string, not a number."),
        ({"a\ud800": "b"}, "keys must be valid Unicode, without lone surrogates."),
        ({"a.b": 1}, 'value of "a.b" must be a string, not a number.'),
        ({"a": True}, 'value of "a" must be a string, not a boolean.'),
        ({"a": {"b": "c"}}, 'value of "a" must be a string, not an object.'),
        ({"a": ["b"]}, 'value of "a" must be a string, not a list.'),
        ({"": "\ud800"}, 'value of "" must be valid Unicode, without lone surrogates.'),
        ({"k" * 41: 1}, 'value of "' + "k" * 40 + '…" must be a string, not a number.'),
    ],
)
def test_bad_custom_patches(value: object, message: str) -> None:
    assert refusal(validation.check_custom, value) == message


@pytest.mark.parametrize(
    "token", ["fcm:a", "apns:a", "fcm:a.b$c", "apns:👩🏽‍🚀", "fcm: ", "fcm:\n", "fcm:fcm:", "fcm:a\0"]
)
def test_good_push_tokens(token: str) -> None:
    assert validation.check_push_tokens({token: True}) == {token: True}
    assert validation.check_push_tokens({token: None}) == {token: None}


@pytest.mark.parametrize("token", ["", "a", "fcm", "fcm:", "apns:", "FCM:a", "gcm:a", " fcm:a", "fcm.a"])
@pytest.mark.parametrize("value", [True, None])
def test_bad_push_tokens(token: str, value: bool | None) -> None:
    assert refusal(validation.check_push_tokens, {token: value}) == 'keys must look like "fcm:TOKEN" or "apns:TOKEN".'


@pytest.mark.parametrize("value", [False, 1, 0, "true", "", [], {}])
def test_a_push_token_is_registered_or_not(value: object) -> None:
    message = refusal(validation.check_push_tokens, {"fcm:a": value})
    assert message == "values must be true (register) or null (unregister)."


def test_push_tokens_are_an_object() -> None:
    assert refusal(validation.check_push_tokens, ["fcm:a"]) == "must be an object, not a list."
