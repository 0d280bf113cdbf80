"""Names that callers have chosen stand in messages as JSON strings, on one line, and do nothing to who reads them."""

from __future__ import annotations

import json
import sys
import unicodedata

from userline.users.quoting import quoted, quoted_few

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
"""What turns the direction of the text after it. Source: Unicode Standard Annex 9."""


def test_every_character_is_read_back_and_none_ends_a_line_or_commands_a_terminal() -> None:
    size = 100
    for start in range(0, len(CHARACTERS), size):
        text = "".join(CHARACTERS[start : start + size])
        shown = quoted(text)
        assert json.loads(shown) == text
        assert len(shown.splitlines()) == 1
        assert not [one for one in shown if unicodedata.category(one) in {"Cc", "Zl", "Zp"}]
        assert not [one for one in shown if unicodedata.bidirectional(one) in TURNING]


def test_what_is_no_unicode_can_be_sent() -> None:
    for code in range(0xD800, 0xE000):
        assert quoted(f"a{chr(code)}b").encode() == b'"a?b"'


def test_long_ones_are_cut_and_many_are_counted() -> None:
    assert quoted("x" * 100) == f'"{"x" * 100}"'
    assert quoted("x" * 101) == f'"{"x" * 100}…"'
    assert quoted("\x85" * 100_000, 40) == '"' + r"\u0085" * 40 + '…"'
    assert quoted_few(["a"]) == '"a"'
    assert quoted_few(["a", "b"]) == '"a" and "b"'
    assert quoted_few("abcdefg") == '"a", "b", "c" and 4 more'
