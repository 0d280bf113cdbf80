"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from userline_client.errors import ServerError

if TYPE_CHECKING:
    from userline_client.errors import UserlineError

_JITTER: Final = 0.1


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter.

    It is from 0 to ``base`` seconds before the first try again, to twice that before the next one, and so on, and never
    more than ``ceiling``. (Full jitter spreads those who lost their connections at the same moment best:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/)
    """

    base: float = 0.5
    ceiling: float = 10.0

    def seconds(self, failures: int) -> float:
        """Return how long to wait after so many failures in a row; 0 after none."""
        if failures == 0:
            return 0.0
        exponent = min(failures - 1, 32)
        return random.uniform(0, min(self.ceiling, self.base * 2**exponent))  # noqa: S311 - spreads load, hides nothing

    def after(self, refusal: UserlineError | None, failures: int) -> float:
        """Return how long to wait after a refusal: as it says itself, and a little more.

        (So that not all come back at the same moment.)
        """
        told = refusal.retry_after if isinstance(refusal, ServerError) else None
        if told is None:
            return self.seconds(failures)
        return told * random.uniform(1, 1 + _JITTER)  # noqa: S311 - spreads load, hides nothing
