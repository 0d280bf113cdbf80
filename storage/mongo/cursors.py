"""The common protocol of both drivers' cursors and change streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from userline.storage.mongo.documents import Document


class Stream(Protocol):
    """A change stream of either driver."""

    @property
    def alive(self) -> bool:
        """Whether it may still bring changes."""

    @property
    def resume_token(self) -> Mapping[str, Any] | None:
        """What a new stream goes on from."""

    async def try_next(self) -> Mapping[str, Any] | None:
        """Return the next change, or None if there was none for a while."""

    async def close(self) -> None:
        """Let go of the server's cursor."""


class Cursor(Protocol):
    """A cursor of either driver."""

    async def to_list(self, length: int) -> list[Document]:
        """Return the next documents; none at the end."""

    async def close(self) -> None:
        """Let go of the server's cursor."""
