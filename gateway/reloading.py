"""Reloads the settings of a running gateway: logs what changed, and passes new values to the parts."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final

from userline.common import tasks
from userline.common.apart import call_apart
from userline.settings.origins import SECRETS
from userline.settings.problems import SettingsError
from userline.settings.reloading import compare, describe_new
from userline.settings.settings import settings_warnings
from userline.storage.factory import make_store
from userline.storage.protocol import RuledStore
from userline.telemetry.logs import set_level

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Future

    from userline.gateway.runtime import Runtime
    from userline.server.hang_ups import HangUps
    from userline.settings.reloading import NewValues
    from userline.settings.settings import Settings

logger = logging.getLogger("userline")

_NOTHING_CHANGED = (
    "The settings were read again: nothing has changed. (The flags and the environment of a running process cannot "
    "change. They have priority over the .env file.)"
)

_RELOADED = "The settings were reloaded. %s"
_NOT_RELOADED = "The settings were not reloaded and keep their values. The reason: %s"
_NOT_TAKEN = "Some parts of the gateway could not apply the new settings. Restart the gateway."

_SLOW_SECONDS: Final = 5.0
_SLOW = (
    "Reading the settings again takes longer than %.0f s: the disk that they are on may hang. Until they are read, all "
    "stay as they are."
)
_SLOW_NO_MORE = "Reading the settings again has ended, after %.0f s."


def read_again(settings: Settings, read: Callable[[], Settings]) -> NewValues | None:
    """Read the settings again, and say in the log what comes of it. None: they are not valid, or nothing has changed.

    ``settings`` are those that the gateway has; they stay as they are. Nothing is raised: whatever reading them comes
    upon, the gateway goes on, and can be told to read them again.
    """
    try:
        with _told_if_slow():
            newer = read()
            new, left = compare(settings, newer)
            _check_with_store(settings, new)
    except SettingsError as error:
        for problem in error.problems:
            logger.error(_NOT_RELOADED, problem)  # noqa: TRY400 - said
        return None
    except Exception as error:  # such as an OSError, where the working directory is gone
        logger.exception(_NOT_RELOADED, f"{str(error) or type(error).__name__}.")  # noqa: TRY401 - for who reads the first line
        return None
    for warning in settings_warnings(newer):
        if warning not in settings_warnings(settings):
            logger.warning("%s", warning)
    for sentence in left:
        logger.warning("%s", sentence)
    if not new.names and not left:
        logger.info(_NOTHING_CHANGED)
    return new if new.names else None


def _tell(new: NewValues) -> None:
    """Say in the log what is taken, and log by the level that is taken; unless both levels hide it, it is seen."""
    is_shown = logger.isEnabledFor(logging.INFO)
    if is_shown:
        logger.info(_RELOADED, " ".join(describe_new(new)))
    set_level(new.settings.log_level)
    if not is_shown:
        logger.info(_RELOADED, " ".join(describe_new(new)))


@contextmanager
def _told_if_slow() -> Iterator[None]:
    """Say in the log that reading takes long, while it does, and then that it is over."""
    started = time.monotonic()
    is_told = threading.Event()

    def tell() -> None:
        is_told.set()
        logger.warning(_SLOW, _SLOW_SECONDS)

    timer = threading.Timer(_SLOW_SECONDS, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if is_told.is_set():
            logger.warning(_SLOW_NO_MORE, time.monotonic() - started)


def _reading(settings: Settings, read: Callable[[], Settings]) -> Future[NewValues | None]:
    """Have the settings read again, in a thread: a disk that hangs holds up neither the gateway nor its end."""
    return call_apart(lambda: read_again(settings, read), "userline-reading-settings")


class ReloadingForWorkers:
    """Reloads settings in the process that starts workers, for present and future workers."""

    def __init__(self, settings: Settings, read: Callable[[], Settings], hang_ups: HangUps) -> None:
        self._settings = settings
        self._read = read
        self._hang_ups = hang_ups
        self._under_way: Future[NewValues | None] | None = None

    def look(self) -> NewValues | None:
        """Begin to read after a hang-up, unless that is under way, and return what is new when it has been read."""
        if self._under_way is None and self._hang_ups.consume():
            self._under_way = _reading(self._settings, self._read)
        if self._under_way is None or not self._under_way.done():
            return None
        new, self._under_way = self._under_way.result(), None
        if new is not None:
            _tell(new)
            self._settings.update_from(new.names, new.settings)
        return new


@asynccontextmanager
async def reloading(
    settings: Settings, read: Callable[[], Settings], hang_ups: HangUps, take: Callable[[NewValues], None]
) -> AsyncIterator[None]:
    """Read the settings again after each hang-up, and have what is new taken over, until this is left."""
    due = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def reload() -> None:
        while True:
            await due.wait()
            due.clear()
            while hang_ups.consume():
                new = await asyncio.wrap_future(_reading(settings, read))
                if new is not None:
                    _tell(new)
                    try:
                        take(new)
                    except Exception:
                        logger.exception(_NOT_TAKEN)

    task = asyncio.create_task(reload(), name="userline-reloading")
    try:
        with hang_ups.telling(lambda: loop.call_soon_threadsafe(due.set)):
            yield
    finally:
        await tasks.end([task])


def take_over(runtime: Runtime, new: NewValues) -> None:
    """Have the parts of a gateway go by new values from now on."""
    settings = runtime.settings
    settings.update_from(new.names, new.settings)
    set_level(settings.log_level)
    if not {*SECRETS}.isdisjoint(new.names):
        runtime.authenticator.use_secrets(settings.secrets)
    runtime.authenticator.bad_tokens.limit(settings.bad_tokens_per_second, settings.bad_tokens_burst)
    runtime.request_log.use(settings)
    runtime.browser_rules.use(settings)
    runtime.users.hold_to(settings.rules, settings.syncing, self_deletion=settings.self_deletion)
    if isinstance(runtime.store, RuledStore):
        runtime.store.hold_to(settings.rules)
    runtime.engine.limit(
        settings.operation_limits,
        max_characters=settings.max_document_characters,
        max_tokens=settings.max_document_tokens,
        seconds=settings.operation_seconds,
    )
    runtime.pace.limit(settings.rate_limit_per_second, settings.rate_limit_burst)
    runtime.connections.limit(settings.max_sockets, settings.max_sockets_per_user)
    runtime.unidentified.limit(settings.max_new_sockets_per_address)


def _check_with_store(settings: Settings, new: NewValues) -> None:
    """Return if the store can keep users as large as the new values allow. Raises SettingsError."""
    try:
        make_store(settings.store_url, new.settings.rules, mongodb_driver=settings.mongodb_driver)
    except ValueError as error:
        raise SettingsError([str(error)]) from None
