"""One stream, made of its number alone."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from tests.streams.kinds import KINDS, Made

SIZES: Final = (0, 20_000, 300_000, 4_000_000, 64 * 1_048_576, 64 * 1_048_576)
_NAMES: Final = list(KINDS)
VARIANTS: Final = 4
"""How many gateways there are to send streams to."""


@dataclass(frozen=True)
class Stream:
    """``size`` is how much is written after what comes first; ``steps`` are the sizes of the first writes."""

    seed: int
    kind: str
    variant: int
    size: int
    steps: tuple[int, ...]
    pause: float
    """How long between the first writes."""
    reads: str
    """``always``, ``slowly`` or ``never``."""
    ends: str
    """What the client does at the end: ``half`` (it says that it has no more to say), ``wait`` or ``reset``."""

    @classmethod
    def of(cls, seed: int) -> Stream:
        """Return the stream of a number. Each kind has its turn."""
        chance = Random(seed)
        steps = chance.choice(((), (), (1,), (7, 100), tuple(chance.randint(1, 300) for _ in range(30))))
        return cls(
            seed,
            _NAMES[seed % len(_NAMES)],
            (seed + seed // len(_NAMES)) % VARIANTS,
            chance.choice(SIZES),
            steps,
            chance.choice((0.0, 0.0, 0.002)),
            chance.choice(("always", "always", "always", "always", "slowly", "never")),
            chance.choice(("half", "half", "wait", "reset")),
        )

    def make(self, token: bytes) -> Made:
        """Return what is written. ``token`` is empty where none is needed."""
        return KINDS[self.kind](Random(self.seed + 1), token)

    def __str__(self) -> str:
        return (
            f"stream {self.seed}: {self.kind}, {self.size / 1e6:g} MB to gateway {self.variant}, "
            f"first writes {self.steps[:4]}, {self.reads} read, {self.ends} at the end"
        )
