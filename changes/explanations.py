"""Explanations of failures of a bus for operators, as far as they are the same for every backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from userline.changes.protocol import Explanation, NotHeardError, NotJoinedError
from userline.common.texts import cut

if TYPE_CHECKING:
    from userline.changes.protocol import Backend

_MOST_CHARACTERS: Final = 200


def explain(backend: Backend, error: BaseException) -> Explanation:
    """Return what a failure means. It has no password in it."""
    for kind, text, advice in _KNOWN:
        if isinstance(error, kind):
            return Explanation(kind.__name__, text, advice)
    return backend.explain(error)


def brief(error: BaseException) -> str:
    """Return what an error says, in one line that is not long and has no full stop."""
    return shortened(" ".join(str(error).split()).removesuffix(".") or type(error).__name__)


def named(error: BaseException) -> str:
    """Return the same with the kind of the error."""
    return shortened(f"{type(error).__name__}: {brief(error)}")


def shortened(text: str) -> str:
    """Return a text that is not long."""
    return cut(text, _MOST_CHARACTERS)


_KNOWN: Final[tuple[tuple[type[BaseException], str, str], ...]] = (
    (
        NotHeardError,
        "A message that was published there was not received",
        (
            "If USERLINE_BUS_URL leads to several servers in turn, or to a connection pool, use the address of one "
            "server. The gateway keeps trying."
        ),
    ),
    (NotJoinedError, "there is no connection to it", "The gateway connects as soon as that is possible."),
)
