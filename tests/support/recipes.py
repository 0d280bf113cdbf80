"""The JavaScript modules in the documentation, as they stand there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]


def modules(*pages: str) -> dict[str, str]:
    """Return those of these pages, by the name of a file that each begins with."""
    text = "\n".join((_ROOT / page).read_text() for page in pages)
    return dict(re.findall(r"```javascript\n// (\S+\.js)\n(.*?)```", text, re.DOTALL))
