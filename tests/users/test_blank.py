"""What shows nothing, and what does."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from userline.users.blank import is_blank, is_invisible

INVISIBLE = [
    *(chr(point) for point in range(0x110000) if unicodedata.category(chr(point)) in {"Cc", "Cf", "Zs", "Zl", "Zp"}),
    *"\u034f\u115f\u1160\u17b4\u17b5\u180b\u2065\u2800\u3164\ufe00\ufe0f\uffa0\U0001d159\U000e0001\U000e0100\U000e0fff",
]
VISIBLE = "aZ09!~éß中あ한👩\u0301\u20dd\u3163\u1161\u2801\ufffc\ufffd\ue000𝅘𝅥"


@given(st.text(st.sampled_from(INVISIBLE)))
def test_a_text_of_invisible_characters_is_blank(text: str) -> None:
    assert is_blank(text)


@given(st.text(st.sampled_from(INVISIBLE)), st.sampled_from(VISIBLE), st.text(st.sampled_from(INVISIBLE)))
def test_one_visible_character_is_enough(before: str, character: str, after: str) -> None:
    assert not is_blank(before + character + after)


@given(st.text())
def test_what_strip_leaves_nothing_of_is_blank(text: str) -> None:
    if not text.strip():
        assert is_blank(text)


@pytest.mark.parametrize("category", ["Lu", "Ll", "Lt", "Nd", "Nl", "No", "Pd", "Ps", "Po", "Sm", "Sc", "Sk"])
def test_letters_numbers_punctuation_and_signs_are_seen(category: str) -> None:
    unseen = [
        point for point in range(0x110000) if unicodedata.category(chr(point)) == category and is_invisible(chr(point))
    ]
    assert unseen == []
