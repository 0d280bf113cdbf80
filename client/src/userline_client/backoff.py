"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with full jitter: before the n-th try anything from 0 to ``base * 2**n`` seconds.

    It is never more than ``ceiling``. (Full jitter spreads those who lost their connections at the same moment best:
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
