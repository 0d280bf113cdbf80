"""Checks whether a text has a visible character.

A name of characters that nobody sees is no name: two such users look alike, and like nobody. Unicode says which
characters show nothing: white space, control and format characters (the general categories Z, Cc and Cf), and the rest
of its property Default_Ignorable_Code_Point (in DerivedCoreProperties.txt), which Python does not tell. Two more have a
width and no ink: the empty pattern of Braille, and the head of a note that is not written.
"""

from __future__ import annotations

import unicodedata
from typing import Final

# Default_Ignorable_Code_Point beside what is in the category Cf: joiners, fillers, variation selectors, and what is
# kept free for more of them.
_IGNORABLE: Final = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2065, 0x2065),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFF8),
    (0xE0000, 0xE0FFF),
)
_WITHOUT_INK: Final = frozenset("\u2800\U0001d159")
_UNSEEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def is_blank(text: str) -> bool:
    """Whether nobody sees anything of the text."""
    return all(map(is_invisible, text))


def is_invisible(character: str) -> bool:
    """Whether a character shows nothing: white space, or one that is not drawn at all."""
    if unicodedata.category(character) in _UNSEEN_CATEGORIES or character in _WITHOUT_INK:
        return True
    point = ord(character)
    return any(first <= point <= last for first, last in _IGNORABLE)
