"""Hypothesis strategies for users: ids, inputs in the contract's names, and the patches they parse to."""

from hypothesis import strategies as st

from userline.users.blank import is_blank
from userline.users.fields import GIVEN
from userline.users.kinds import Kind
from userline.users.patch import UserPatch, parse_new_user, parse_patch
from userline.users.rules import Rules

ODD_TEXTS = (
    "",
    " ",
    "a.b",
    "$set",
    "$",
    ".",
    "__proto__",
    "%2E",
    "%00",
    "a\0b",
    "\0",
    "\x01\x1f\x7f",
    "\n\r\t\b\f",
    "\\u0000",
    "\"'`\\",
    "'; DROP TABLE users; --",
    '{"$gt": ""}',
    "[1, null]",
    "null",
    "NaN",
    "1e999",
    "\ufeff\u2028\u2029\uffff",
    "e\u0301",
    "\u00e9",
    "👩🏽‍🚀",
    "مرحبا",
)
"""Text that some part between a caller and a disk is known to get wrong; all of it is allowed in custom attributes."""

texts = st.sampled_from(ODD_TEXTS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
"""Any text that has a UTF-8 form."""

names = texts.filter(lambda text: not is_blank(text))
user_ids = texts.filter(lambda text: text != "" and "\0" not in text)

# Few enough keys that the patches of one sequence meet.
_custom_keys = st.sampled_from(["a", "a.b", "$set", "", "a\0b", "👩🏽‍🚀"]) | texts
_push_tokens = st.sampled_from(["fcm:a", "fcm:A", "apns:a"]) | texts.map(lambda text: f"apns:{text}x")
_emails = st.sampled_from(["alice@example.com", "ALICE@example.com", '"a b"@example.com', "δοκιμή@παράδειγμα.δοκιμή"])
_phones = st.sampled_from(["+14155552671", "+31 20 123 4567", "+442071838750"])

_SHORT_TEXTS: dict[Kind, st.SearchStrategy[object]] = {
    Kind.TEXT: texts,
    Kind.LIST: st.lists(texts, max_size=3),
    Kind.MAP: st.dictionaries(_custom_keys, st.none() | texts, max_size=4),
    Kind.KEYS: st.dictionaries(texts, st.sampled_from([True, None]), max_size=4),
}
_values: dict[str, st.SearchStrategy[object]] = {
    field.name: _SHORT_TEXTS[field.kind] for field in GIVEN if not field.is_required
} | {
    "custom": st.dictionaries(_custom_keys, st.none() | texts, max_size=4),
    "locale": st.sampled_from(["en", "en-us", "pt-BR", "zh-Hant-TW", "de-CH-1996"]),
    "photoUrl": st.sampled_from(
        ["https://example.com/a.png", "HTTP://example.com/?q=%00&r='\"", "https://é.example/é"]
    ),
    "role": st.sampled_from(["default", "admin", "a.b"]) | names,
    "welcomeMessage": texts,
    "email": _emails | st.lists(_emails, max_size=3),
    "phone": _phones | st.lists(_phones, max_size=3),
    "pushTokens": st.dictionaries(_push_tokens, st.sampled_from([True, None]), max_size=4),
}
_nullable = {name: st.none() | values for name, values in _values.items()}

patch_inputs: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries({}, optional={"name": names, **_nullable})
"""Valid inputs of setUser: each field left out, null where that is allowed, or set."""

new_user_inputs: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries({"name": names}, optional=_nullable)
"""Valid inputs of createUserIfNotExists."""

patches: st.SearchStrategy[UserPatch] = patch_inputs.map(lambda given: parse_patch(given, Rules()))
new_users: st.SearchStrategy[UserPatch] = new_user_inputs.map(lambda given: parse_new_user(given, Rules()))
