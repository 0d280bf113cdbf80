"""Libraries with large tables that some checks need: loaded at the first value, in a thread.

Loading one takes some 40 ms, in which nobody else would be answered.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from userline.users.fields import GIVEN

if TYPE_CHECKING:
    from collections.abc import Iterable


class Libraries:
    """The libraries that have not been loaded yet. For one event loop."""

    def __init__(self) -> None:
        self.of_fields = {field.name: field.library for field in GIVEN if field.library is not None}
        """By the contract's name of the field. Most inputs have none of these fields: then nothing is loaded."""

    async def load_for(self, names: Iterable[str]) -> None:
        """Load what the checks of these fields need."""
        wanted = {self.of_fields[name] for name in names}
        if missing := wanted - sys.modules.keys():
            await asyncio.to_thread(_load, missing)
        self.of_fields = {name: library for name, library in self.of_fields.items() if library not in wanted}


def _load(libraries: Iterable[str]) -> None:
    for library in libraries:
        import_module(library)
