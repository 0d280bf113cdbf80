"""A store whose calls are counted and timed."""

from __future__ import annotations

import time
from functools import partial
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final

from userline.storage.protocol import UserStore
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from userline.telemetry.metrics.recorder import Metrics

STORE_CALLS: Final = [
    name for name, call in vars(UserStore).items() if iscoroutinefunction(call) and name not in {"open", "close"}
]
"""The calls that are measured: all that are waited for."""


class MeasuredStore:
    """Passes every call to a :class:`~userline.storage.protocol.UserStore`, and measures it."""

    def __init__(self, store: UserStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics
        for call in STORE_CALLS:
            setattr(self, call, partial(self._measured, call))

    def __getattr__(self, name: str) -> Any:
        """Return what is not measured."""
        return getattr(self._store, name)

    async def _measured(self, call: str, *args: Any, **kwargs: Any) -> Any:
        if call == "get_many":
            self._metrics.store_batch_ids.add(len(args[0]))
        started = time.perf_counter()
        failed = False
        try:
            return await getattr(self._store, call)(*args, **kwargs)
        except StoreUnavailable:
            failed = True
            raise
        finally:
            self._metrics.store_call(call, time.perf_counter() - started, failed=failed)
