"""Operations: what travels over a connection and is sent again over the next one."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from userline_client.errors import ProtocolError, UserlineError


class Operation(ABC):
    """One operation. ``payload`` is that of its ``subscribe`` message, encoded."""

    def __init__(self, payload: str) -> None:
        self.payload = payload

    @abstractmethod
    def on_data(self, data: dict[str, Any]) -> bool:
        """Take a result. Return whether there may be more."""

    @abstractmethod
    def on_failure(self, error: UserlineError) -> None:
        """Take the error that ended the operation."""

    @abstractmethod
    def on_complete(self) -> None:
        """The gateway has ended the operation and said no more."""


class Request(Operation):
    """A query or a mutation: one result."""

    def __init__(self, payload: str) -> None:
        super().__init__(payload)
        self.result: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.result.add_done_callback(lambda result: result.cancelled() or result.exception())  # perhaps nobody waits

    def on_data(self, data: dict[str, Any]) -> bool:
        """Take the result."""
        if not self.result.done():
            self.result.set_result(data)
        return False

    def on_failure(self, error: UserlineError) -> None:
        """Take the error."""
        if not self.result.done():
            self.result.set_exception(error)

    def on_complete(self) -> None:
        """Fail: there was no result."""
        self.on_failure(ProtocolError("The gateway ended a request without a result."))


class Operations:
    """The operations under way, by id. An id is never used again."""

    def __init__(self) -> None:
        self._by_id: dict[str, Operation] = {}
        self._ids: dict[Operation, str] = {}
        self._last_id = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, operation: Operation) -> str:
        """Add an operation and return its id."""
        self._last_id += 1
        operation_id = str(self._last_id)
        self._by_id[operation_id] = operation
        self._ids[operation] = operation_id
        return operation_id

    def remove(self, operation: Operation) -> str | None:
        """Remove an operation; return its id if it was there."""
        operation_id = self._ids.pop(operation, None)
        if operation_id is not None:
            del self._by_id[operation_id]
        return operation_id

    def all(self) -> list[tuple[str, Operation]]:
        """Return all, in the order in which they were added."""
        return list(self._by_id.items())

    def get(self, operation_id: object) -> Operation | None:
        """Return the operation with this id, if it is still under way."""
        return self._by_id.get(operation_id) if isinstance(operation_id, str) else None
