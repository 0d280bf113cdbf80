"""Libraries with tables that the checks of some fields need: loaded by the first value, and beside the event loop.

Loading one takes some 40 ms, in which nobody else would be answered.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from userline.users.fields import GIVEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Libraries:
    """Those that have not been loaded yet. For one event loop."""

    def __init__(self) -> None:
        self._of_fields = {field.name: field.library for field in GIVEN if field.library is not None}

    async def load_for(self, *inputs: Mapping[str, object]) -> None:
        """Load what the checks of these inputs (contract names to values) need; most often, nothing."""
        if not self._of_fields:
            return
        wanted = {library for name, library in self._of_fields.items() if any(name in given for given in inputs)}
        if wanted:
            if missing := wanted - sys.modules.keys():
                await asyncio.to_thread(_load, missing)
            self._of_fields = {name: library for name, library in self._of_fields.items() if library not in wanted}


def _load(libraries: Iterable[str]) -> None:
    for library in libraries:
        import_module(library)
