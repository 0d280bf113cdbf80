"""The strings in a JSON text."""

from __future__ import annotations

import re
from typing import Final

STRINGS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""One that does not end goes to the end of the text: so each part of a text is looked at once, whatever is in it."""
