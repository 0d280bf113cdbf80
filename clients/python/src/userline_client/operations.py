"""Operations: what travels over a socket."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from userline_client.errors import ProtocolError, UserlineError, error_from

if TYPE_CHECKING:
    from collections.abc import Callable


class Operation(ABC):
    """One operation. ``payload`` is that of its ``subscribe`` message, encoded."""

    needs_socket: bool = True
    """Whether it is a reason to stay connected; otherwise somebody else has to be one."""

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

    def on_partial_data(self, data: dict[str, Any], errors: list[Any]) -> bool:  # noqa: ARG002
        """Take a result with holes; as it is, that is an error of the operation as a whole."""
        raise error_from(errors)


class Request(Operation):
    """A query or a mutation: one result, of which ``take`` makes what is asked for as soon as it is there."""

    def __init__(self, payload: str, take: Callable[[dict[str, Any]], Any]) -> None:
        super().__init__(payload)
        self._take = take
        self.result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.result.add_done_callback(lambda result: result.cancelled() or result.exception())  # perhaps nobody waits

    def on_data(self, data: dict[str, Any]) -> bool:
        """Take the result."""
        if not self.result.done():
            taken = self._take(data)
            if not self.result.done():  # who is shown what was taken may have cancelled it
                self.result.set_result(taken)
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
        self.needing: int = 0
        """How many are a reason to stay connected."""

    def add(self, operation: Operation) -> str:
        """Add an operation and return its id."""
        self._last_id += 1
        operation_id = str(self._last_id)
        self._by_id[operation_id] = operation
        self._ids[operation] = operation_id
        self.needing += operation.needs_socket
        return operation_id

    def remove(self, operation: Operation) -> str | None:
        """Remove an operation; return its id if it was there."""
        operation_id = self._ids.pop(operation, None)
        if operation_id is not None:
            del self._by_id[operation_id]
            self.needing -= operation.needs_socket
        return operation_id

    def all(self) -> list[tuple[str, Operation]]:
        """Return all, in the order in which they were added."""
        return list(self._by_id.items())

    def take(self, message: dict[str, Any]) -> str | None:
        """Hand a message to the operation that it is of; return the id of an operation that is over for that, if any.

        It is over for this side, that is: the gateway has to be told.
        """
        operation_id, payload = message.get("id"), message.get("payload")
        operation = self._by_id.get(operation_id) if isinstance(operation_id, str) else None
        if operation is None:
            return None
        if message["type"] == "complete":
            self.remove(operation)
            operation.on_complete()
        elif message["type"] == "error":
            self.remove(operation)
            operation.on_failure(error_from(payload))
        else:
            try:
                if not _take_result(operation, payload):
                    self.remove(operation)
            except Exception as error:  # noqa: BLE001 - it ends this operation alone
                self.remove(operation)
                if not isinstance(error, UserlineError):
                    error = ProtocolError(f"The gateway sent something that is not valid: {error!r}")
                operation.on_failure(error)
                return operation_id
        return None


def _take_result(operation: Operation, payload: Any) -> bool:
    """Hand a result to its operation; return whether there may be more. Raises the error if it is one."""
    match payload:
        case {"data": dict(data), "errors": [_, *_] as errors}:
            return operation.on_partial_data(data, errors)
        case {"errors": [_, *_] as errors}:
            raise error_from(errors)
        case {"data": dict(data)}:
            return operation.on_data(data)
    raise ProtocolError("The gateway sent a result that is not valid.")
