"""Calls that may never return, such as disk operations, in a thread of their own."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def call_apart(call: Callable[[], T], name: str) -> Future[T]:
    """Call it in a thread of its own, with this name, and return a future of what comes of it.

    Unlike with a pool of threads, the end of the process does not wait for it.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # it cannot be cancelled any more

    def run() -> None:
        try:
            outcome = call()
        except BaseException as error:  # noqa: BLE001 - raised where the future is looked at
            future.set_exception(error)
        else:
            future.set_result(outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
