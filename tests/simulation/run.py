"""How the product is made for a run, what it logs, and what a run comes to."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Final

from tests.simulation.gateway import Gateway
from tests.simulation.loop import OWNER
from userline.settings.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REREAD_SECONDS: Final = 12.0
PRESENCE_SECONDS: Final = 3.0
_CACHE_SECONDS: Final = 5.0


class SimulationError(AssertionError):
    """What a run has found, and how it came to that."""

    def __init__(self, seed: int, problems: list[str], trace: list[str]) -> None:
        super().__init__(seed, problems, trace)
        self.seed = seed
        self.problems = problems
        self.trace = trace

    def __str__(self) -> str:
        found = "\n".join(f"- {problem}" for problem in self.problems)
        return "\n".join(self.trace) + f"\nSeed {self.seed} has found:\n{found}"


@cache
def settings() -> Settings:
    """Return the settings of all gateways: as they come, but that less time has to pass."""
    return load_settings(
        {
            "store_url": "sqlite:////nowhere/users.db",
            "bus_url": "redis://simulated",
            "reread_seconds": REREAD_SECONDS,
            "presence_seconds": PRESENCE_SECONDS,
            "cache_seconds": _CACHE_SECONDS,
            "access_log": False,
            "change_stream": False,
            "env": "development",
        }
    )


class _Errors(logging.Handler):
    """What the product logs with an exception is a fault: it has met with something that it did not expect."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        owner = OWNER.get(None)
        if isinstance(owner, Gateway) and owner.is_dead:
            return  # that it was ended in the middle of everything is no fault
        if record.exc_info and record.exc_info[1] is not None:
            self._tell(f"logged: {record.getMessage()} ({record.exc_info[1]!r})")


@contextmanager
def told_of_errors(tell: Callable[[str], None]) -> Iterator[None]:
    """Be told of what the product logs as an error."""
    errors = _Errors(tell)
    loggers = [logging.getLogger("userline"), logging.getLogger("userline_client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
        logger.addHandler(errors)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(errors)
            logger.setLevel(level)
