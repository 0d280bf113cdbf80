"""The parts of a running gateway, made from the settings, started and stopped together."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, cast

from userline.changes.bus import Bus
from userline.changes.hub import Hub
from userline.directory.refresher import Refresher
from userline.directory.users import Users
from userline.execution.engine import Engine
from userline.gateway.answering.answering import Answering
from userline.gateway.answering.meaning import Meanings
from userline.gateway.app import Doors, make_app
from userline.gateway.auth.authenticator import Authenticator
from userline.gateway.browsers import BrowserRules
from userline.gateway.entry import AsgiEntry
from userline.gateway.exposition import Exposition
from userline.gateway.health import Health
from userline.gateway.http import GraphQLOverHTTP
from userline.gateway.lane import Lane
from userline.gateway.open_connections import OpenConnections
from userline.gateway.rate_limit import Pace, RateLimiter
from userline.gateway.request_log import RequestLog
from userline.gateway.rest.api import RestApi
from userline.gateway.streaming.stream import Streams
from userline.gateway.websocket.admission import Admission
from userline.gateway.websocket.deliveries import Deliveries
from userline.gateway.websocket.session import SocketParts
from userline.gateway.websocket.unidentified import UnidentifiedSockets
from userline.presence.presence import Presence
from userline.resolvers.context import AppInfo
from userline.schema.served import served_schema, served_subgraph
from userline.server.drain import Drain
from userline.storage.factory import make_store
from userline.storage.protocol import FollowedStore
from userline.telemetry.metrics.loop import watching_the_loop
from userline.telemetry.metrics.recorder import Metrics
from userline.telemetry.metrics.store import MeasuredStore
from userline.telemetry.tracing.setup import make_tracer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from starlette.types import ASGIApp

    from userline.changes.protocol import Backend
    from userline.settings.settings import Settings
    from userline.storage.protocol import UserStore
    from userline.telemetry.metrics.workers import WorkerMetrics
    from userline.users.record import Change, UserSnapshot


class Runtime:
    """The parts of one gateway. For one event loop.

    ``store``, ``bus`` and ``clock`` (a monotonic one) take the places of those that the settings ask for.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        store: UserStore | None = None,
        bus: Backend | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.store = store or make_store(
            settings.store_url,
            settings.rules,
            mongodb_driver=settings.mongodb_driver,
            file_mode=settings.file_mode,
        )
        # Looked at once: to check a protocol takes longer than to tell of a change.
        self._followed = self.store if isinstance(self.store, FollowedStore) else None
        self.tracer = make_tracer(settings)
        store = self.measured_store = self._measured()
        self.hub = Hub(ttl=settings.cache_seconds, capacity=settings.cache_users, clock=clock)
        self.bus = Bus(bus or settings.bus_url, app_id=settings.app_id, prefix=settings.bus_prefix)
        self.bus.sent.on_lag = self.metrics.bus_lag.add
        self.refresher = Refresher(store, self.hub, period=settings.reread_seconds)
        self.hub.on_doubt = self.refresher.hasten
        self.authenticator = Authenticator.of(settings)
        self.presence = Presence(
            self.bus, seconds=settings.presence_seconds, users_seen=self.authenticator.users_seen, clock=clock
        )
        self._app = AppInfo(settings.app_id, settings.default_locale, settings.app_roles)
        self.engine = Engine(
            served_subgraph(settings.federation_prefix) if settings.federation else served_schema(),
            self._app,
            document_cache=settings.document_cache,
            document_cache_bytes=settings.document_cache_bytes,
            max_document_characters=settings.max_document_characters,
            max_document_tokens=settings.max_document_tokens,
            time_limit=settings.operation_seconds,
            introspection=settings.introspection,
            limits=settings.operation_limits,
            persisted_documents=settings.persisted_documents,
            trusted_documents=settings.trusted_documents,
            plans=settings.plans,
            max_answer_bytes=settings.max_answer_bytes,
        )
        self.engine.pacer.on_wait = self.metrics.turn_wait.add
        self.users = Users(
            store=store,
            hub=self.hub,
            bus=self.bus,
            rules=settings.rules,
            syncing=settings.syncing,
            self_deletion=settings.self_deletion,
            pacer=self.engine.pacer,
        )
        if self.tracer is not None:
            from userline.telemetry.tracing.parts import TracedBatcher  # noqa: PLC0415 - it needs userline[tracing]

            self.users.batcher = TracedBatcher(store, self.hub)
        self.rate_limiter = RateLimiter(settings.rate_limit_per_second, settings.rate_limit_burst)
        self.pace = Pace(self.rate_limiter)
        self.connections = OpenConnections(settings.max_sockets, settings.max_sockets_per_user)
        self.unidentified = UnidentifiedSockets(settings.max_new_sockets_per_address)
        self.deliveries = Deliveries()
        self.drain = Drain(settings.drain_seconds, settings.shutdown_seconds)
        self.request_log = RequestLog(settings)
        self.answering = Answering(
            engine=self.engine,
            users=self.users,
            app=self._app,
            presence=self.presence,
            authenticator=self.authenticator,
            rate_limiter=self.rate_limiter,
            pace=self.pace,
            metrics=self.metrics,
            tracer=self.tracer,
            request_log=self.request_log,
        )
        self.browser_rules = BrowserRules(settings)
        self.meanings = Meanings(settings, self.browser_rules)
        self.lane: Lane | None = None
        if self.answers_at_once and Lane.is_wanted(settings):
            self.lane = Lane(self.answering, self.meanings, settings.trusted_proxies)
        self.requests_at_once = 0
        """How many were answered in front of the application, and not by the lane."""
        self._exposition = Exposition(self)
        self.workers: WorkerMetrics | None = None
        """This process's place among several, if there are several."""

    def make_app(self) -> ASGIApp:
        """Return the application of this gateway. Its lifespan, where the server runs it, is that of the gateway."""
        settings, answering, authenticator = self.settings, self.answering, self.authenticator
        sockets = SocketParts(settings, answering, authenticator, self.connections, self.deliveries)
        streams = Streams(
            answering, authenticator.live, self.connections, self.drain, ping_seconds=settings.ping_seconds
        )
        app = make_app(
            settings,
            Doors(
                GraphQLOverHTTP(settings, answering, authenticator, streams),
                Admission(sockets, self.unidentified),
                RestApi(settings, self.users, authenticator, answering),
                Health(
                    self.drain,
                    self.measured_store.ping,
                    lambda: self.coherent,
                    lambda: self.bus.changes_of_others,
                ),
                self.exposition,
            ),
            running=self.running,
            metrics=self.metrics,
            tracer=self.tracer,
            request_log=self.request_log,
            browser_rules=self.browser_rules,
        )
        return AsgiEntry(app, answering, self.meanings, self._count_at_once) if self.answers_at_once else app

    def _count_at_once(self) -> None:
        """Count a request that was answered in front of the application."""
        self.requests_at_once += 1

    @property
    def answers_at_once(self) -> bool:
        """Whether requests may be answered without the application, where spans are made."""
        return self.settings.plans and self.tracer is None

    def _measured(self) -> UserStore:
        if self.tracer is None:
            return cast("UserStore", MeasuredStore(self.store, self.metrics))
        from userline.telemetry.tracing.parts import TracedStore  # noqa: PLC0415 - it needs userline[tracing]

        return cast("UserStore", TracedStore(self.store, self.metrics, self.tracer))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the store and the bus, and on the way out finish what is under way and close them.

        Raises StoreUnavailable and StoreFormatError.
        """
        await self.store.open()
        try:
            self.refresher.start()
            if self.settings.change_stream and self._followed is not None:
                self._followed.follow(self._hear_of_an_edit, self._hear_of_a_deletion, self._miss_edits)
            await self.bus.start(
                partial(self._hear, is_seen=True),
                hear_found=partial(self._hear, is_seen=False),
                hear_in_part=self._hear_of_a_version,
                on_lost=self._lose_touch,
                on_joined=self._regain_touch,
            )
            self.presence.start()
            try:
                self.authenticator.start()
                async with watching_the_loop(self.metrics.loop_lag), self._telling_metrics():
                    yield
            finally:
                await self.presence.stop()
                await self.authenticator.close()
                await self.drain.finish(self.users.wait_until_published())
                await self.users.close()
                await self.bus.stop()
                await self.refresher.stop()
        finally:
            await self.store.close()
            if self.tracer is not None:
                await asyncio.to_thread(self.tracer.close)

    async def exposition(self) -> bytes:
        """Return the metrics in Prometheus's text format, those of the other workers included."""
        own = (await self._exposition.write()).encode()
        return own if self.workers is None else await self.workers.of_all(own)

    def _telling_metrics(self) -> AbstractAsyncContextManager[None]:
        if self.workers is None:
            return nullcontext()
        return self.workers.answering_others(self._exposition.write)

    @property
    def coherent(self) -> bool:
        """Whether changes of all gateways are heard, and nothing that was missed is still to be read."""
        return self.bus.connected and self.refresher.settled

    def _lose_touch(self) -> None:
        self.hub.lose_touch()
        self.refresher.unsettle()

    def _regain_touch(self) -> None:
        self.hub.regain_touch()
        self.refresher.settle()
        self.presence.ask()

    def _hear(self, change: Change, *, is_seen: bool) -> None:
        """Take what is told of a user; the store guesses nothing from what was before. ``is_seen`` as for the hub."""
        self.hub.hear(change, is_seen=is_seen)
        if self._followed is not None:
            self._followed.hear(change)

    def _hear_of_a_version(self, snapshot: UserSnapshot) -> None:
        """Take a change that a gateway tells of which knows fewer fields: what it did not say is in the store."""
        if self._followed is not None:
            self._followed.hear(snapshot)
        if self.hub.hear_of(snapshot.id, snapshot.version):
            self.refresher.hasten()

    def _hear_of_an_edit(self, snapshot: UserSnapshot) -> None:
        """Take a change that the store tells of: by this gateway, another, or a program that knows no versions."""
        self._hear(snapshot, is_seen=False)
        if self.hub.differs(snapshot) and self.hub.doubt(snapshot.id):
            self.refresher.hasten()

    def _hear_of_a_deletion(self, user_id: str) -> None:
        if self.hub.doubt(user_id):
            self.refresher.hasten()

    def _miss_edits(self) -> None:
        self.hub.doubt_all()
        self.refresher.hasten()
