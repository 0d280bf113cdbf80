"""What happens to which command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.mongo_wire.messages import Document, Message


@dataclass(frozen=True, slots=True)
class Delay:
    """The command comes late, or its answer does; all else is as it is without the rule."""

    seconds: float
    of_answer: bool = False


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The command has its effect, and the connection closes before the answer is sent."""


@dataclass(frozen=True, slots=True)
class Close:
    """The connection closes before the command has any effect."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing is ever answered. ``after_effect``: the command is done first."""

    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """This is the answer. ``after_effect``: the command is done first, and what came of it is not told."""

    document: Document
    after_effect: bool = False


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The answer is changed on its way back."""

    change: Callable[[Document], Document]


Action: TypeAlias = Delay | LoseAnswer | Close | Hang | Answer | Rewrite


@dataclass(slots=True, eq=False)
class Rule:
    """An action for the commands that match: of these names (all, if none is named), of a namespace, and ``where``.

    The first ``skip`` of them are left alone, then ``times`` are acted on (None: all). ``hits`` counts those.
    """

    action: Action
    commands: frozenset[str] = frozenset()
    namespace: str | None = None
    where: Callable[[Message], bool] | None = None
    skip: int = 0
    times: int | None = 1
    hits: int = 0

    def takes(self, message: Message) -> bool:
        """Whether the rule acts on this command, which counts then."""
        if self.commands and message.command not in self.commands:
            return False
        if self.namespace is not None and message.namespace != self.namespace:
            return False
        if self.where is not None and not self.where(message):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True
