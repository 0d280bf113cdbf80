"""Runs the application on Uvicorn, in this process or in several."""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import uvicorn

from userline.execution.weighed import WeighedCache
from userline.gateway.browsers import READABLE_BY_ANY_PAGE
from userline.gateway.graphiql.page import index_page
from userline.gateway.metrics_listener import serving_metrics
from userline.gateway.refusals import body_of_bad_request
from userline.gateway.reloading import ReloadingForWorkers, reloading, take_over
from userline.gateway.runtime import Runtime
from userline.gateway.site import site_of
from userline.gateway.stopping import Server
from userline.gateway.websocket.protocol import CloseCode
from userline.gateway.websocket.session import FIRST_BYTES
from userline.server.collecting import Collecting
from userline.server.http import make_http_protocol
from userline.server.listeners import give_up_on_silent_clients, is_file, listening, url_of
from userline.server.turns import Turns
from userline.server.websocket import make_websocket_protocol
from userline.server.workers import Supervision, follow_parent, run_workers
from userline.settings.checks import split_address
from userline.telemetry.logs import configure_logging
from userline.telemetry.metrics.workers import WorkerMetrics
from userline.users.errors import UserlineError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp

    from userline.gateway.lane import Lane
    from userline.server.drain import Drain
    from userline.server.hang_ups import HangUps
    from userline.server.worker_links import WorkerLink
    from userline.settings.reloading import NewValues
    from userline.settings.settings import Settings

logger = logging.getLogger("userline")

BACKLOG: Final = 2048
"""How many connections may wait to be accepted."""

_HEADS: Final = 1024
_HEADS_BYTES: Final = 4_194_304
"""How many heads of requests are remembered, and how much memory they may take, at most."""

_REQUESTS_BYTES: Final = 8_388_608
"""How much memory whole requests may take that are remembered, at most."""

_HURRIED: Final = frozenset((CloseCode.TOKEN_EXPIRED, CloseCode.TOO_MANY_SOCKETS, CloseCode.TRY_AGAIN_LATER))
"""Closes of sockets that are not to be here, or for which there is no room."""

_CLOSING_SECONDS: Final = 15
"""What closing store and bus may take after the requests under way, at most."""

_OPEN: Final = (
    "OPEN: tokens are not checked. Everybody who can reach this address may read and write every user. For development "
    "only."
)


def serve(settings: Settings, read: Callable[[], Settings], hang_ups: HangUps) -> None:
    """Serve until SIGINT or SIGTERM. ``read`` reads the settings again, after each hang-up.

    Raises OSError if the address cannot be listened on, and StoreUnavailable or StoreFormatError if the store cannot be
    opened, and UnendingWorkersError if there are workers that cannot be ended.
    """
    with _listening(settings) as listeners:
        if settings.workers == 1:
            _work(settings, listeners, partial(reloading, settings, read, hang_ups))
        else:
            _check_store(settings)
            with tempfile.TemporaryDirectory(prefix="userline-") as directory:
                supervision = Supervision(
                    patience=settings.drain_seconds + settings.shutdown_seconds + _CLOSING_SECONDS,
                    hang_seconds=settings.worker_hang_seconds,
                    traces=Path(directory),
                    news=ReloadingForWorkers(settings, read, hang_ups).look,
                )
                run_workers(settings.workers, _work_apart, (settings, listeners, Path(directory)), supervision)


class _Listeners(NamedTuple):
    """The addresses that the process, or all workers together, listen on."""

    api: tuple[socket.socket, ...]
    metrics: socket.socket | None


def _work_apart(settings: Settings, listeners: _Listeners, directory: Path, link: WorkerLink) -> None:
    """Serve in a process of its own, started by the one that listens."""
    follow_parent()
    link.write_traces()
    configure_logging(settings.log_format, settings.log_level, worker=link.number)
    try:
        _work(settings, listeners, link.kept, WorkerMetrics(directory, link.number, lambda: link.replaced))
    except UserlineError as error:
        logger.critical("The worker stops: %s", error)
        sys.exit(1)
    except Exception:
        logger.critical("The worker stopped unexpectedly.", exc_info=True)
        sys.exit(1)


def _work(
    settings: Settings,
    listeners: _Listeners,
    hearing_news: Callable[[Callable[[NewValues], None]], AbstractAsyncContextManager[None]],
    workers: WorkerMetrics | None = None,
) -> None:
    """Serve in this process, and take over what is new in the settings."""
    runtime = Runtime(settings)
    runtime.workers = workers
    config = make_config(settings, runtime.make_app(), runtime.drain, runtime.lane)
    server = Server(config, runtime.drain, runtime.connections)

    def take(new: NewValues) -> None:
        take_over(runtime, new)
        _renew_protocol(config, settings)

    async def run() -> None:
        async with (
            hearing_news(take),
            runtime.running(),
            serving_metrics(runtime.exposition, listeners.metrics),
        ):
            if runtime.authenticator.is_open:
                logger.warning(_OPEN)
            _say_where(settings, listeners)
            with Collecting(lambda: runtime.connections.sockets).running():
                await server.serve(list(listeners.api))
        logger.info("Stopped.")

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())


def make_config(settings: Settings, app: ASGIApp, drain: Drain, lane: Lane | None) -> uvicorn.Config:
    """Return what makes Uvicorn serve an application: with a lane, what that does not answer."""
    turns = Turns()
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",  # the runtime is opened here, so that what goes wrong ends as a sentence and an exit code
        server_header=False,
        proxy_headers=settings.trusted_proxies is not None,
        forwarded_allow_ips=settings.trusted_proxies or "",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        http=make_http_protocol(
            max_header_bytes=settings.max_header_bytes,
            header_seconds=settings.header_seconds,
            answerer=lane.answer if lane else None,
            refusal_body=body_of_bad_request,
            refusal_lines=_refusal_lines(settings),
            head_cache=WeighedCache(_HEADS_BYTES, most=_HEADS),
            request_cache=WeighedCache(_REQUESTS_BYTES),
            drain=drain,
            turns=turns,
        ),
        ws=make_websocket_protocol(
            direct=settings.fast_lane,
            turns=turns,
            drain=drain,
            hurried=_HURRIED,
            first_bytes=FIRST_BYTES,
            too_large=partial(_message_too_large, settings.max_message_bytes),
        ),
        ws_max_size=settings.max_message_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=settings.ping_seconds or None,
        ws_ping_timeout=settings.ping_seconds or None,
    )


def _refusal_lines(settings: Settings) -> bytes:
    return READABLE_BY_ANY_PAGE if settings.origins_allowed else b""


def _renew_protocol(config: uvicorn.Config, settings: Settings) -> None:
    """Have requests on all connections read by the settings as they are now."""
    protocol: Any = config.http
    protocol.known_heads.forget()
    protocol.known_requests.forget()
    protocol.refusal_lines = _refusal_lines(settings)


def _message_too_large(most_of_all: int, most: int) -> str:
    """Return why a socket is closed for a message that has more than ``most`` bytes."""
    if most < most_of_all:
        return f"A message before connection_ack has more than {most} bytes, which is the limit"
    return f"A message has more than {most} bytes, which is the limit (USERLINE_MAX_MESSAGE_BYTES)"


def _say_where(settings: Settings, listeners: _Listeners) -> None:
    has_page = settings.graphiql and index_page() is not None
    what = "GraphQL, WebSocket and GraphiQL" if has_page else "GraphQL and WebSocket"
    for listener in listeners.api:
        logger.info("%s at %s/graphql; stop with Ctrl+C.", what, url_of(listener))
        if site_of(settings):
            logger.info("Documentation at %s/docs.", url_of(listener))
    if listeners.metrics is not None:
        logger.info("Metrics at %s/metrics.", url_of(listeners.metrics))


def _address_of(text: str) -> tuple[str, int]:
    host, port = split_address(text)
    return host, int(port)


def _check_store(settings: Settings) -> None:
    """Open the store and close it again, so that a store that cannot be used ends the program and not each worker."""

    async def check() -> None:
        store = Runtime(settings).store
        await store.open()
        await store.close()

    asyncio.run(check())


@contextmanager
def _listening(settings: Settings) -> Iterator[_Listeners]:
    """Listen on all addresses until this is left. Raises OSError with a sentence.

    Where any free port will do, the others take the one that the first has got.
    """
    with ExitStack() as stack:
        listeners: list[socket.socket] = []
        port = settings.port
        for host in settings.hosts:
            listener = stack.enter_context(listening(host, port, backlog=BACKLOG))
            give_up_on_silent_clients(listener, settings.ping_seconds)
            listeners.append(listener)
            if port == 0 and not is_file(host):
                port = listener.getsockname()[1]
        metrics = None
        if settings.metrics_address:
            metrics = stack.enter_context(listening(*_address_of(settings.metrics_address), backlog=BACKLOG))
        yield _Listeners(tuple(listeners), metrics)
