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
    """Exponential backoff with full jitter: how long to wait before trying again.

    The pause before the first repetition is random between 0 and ``base`` seconds, before the second one between 0 and
    twice ``base``, and so on, but never longer than ``ceiling`` seconds. Source:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    base: float = 0.5
    """Seconds."""
    ceiling: float = 10.0
    """Seconds."""

    def seconds(self, failures: int) -> float:
        """Return how many seconds to wait after this number of failures in a row; 0 after none."""
        if failures == 0:
            return 0.0
        exponent = min(failures - 1, 32)
        return random.uniform(0, min(self.ceiling, self.base * 2**exponent))  # noqa: S311 - spreads load, hides nothing

    def after(self, refusal: UserlineError | None, failures: int) -> float:
        """Return how many seconds to wait after a refusal.

        If the refusal says it, that is used, plus up to 10 %, so that not all clients come back at the same moment.
        """
        told = refusal.retry_after if isinstance(refusal, ServerError) else None
        if told is None:
            return self.seconds(failures)
        return told * random.uniform(1, 1 + _JITTER)  # noqa: S311 - spreads load, hides nothing
