"""The metrics of a gateway, in Prometheus's format."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from userline import __version__
from userline.server.cut_offs import CUT_OFFS, Reason
from userline.settings.fingerprint import Fingerprints, of_all
from userline.telemetry.metrics.store import STORE_CALLS
from userline.telemetry.metrics.text import counter, gauge, histogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import CollectorRegistry

    from userline.changes.bus import Bus
    from userline.changes.hub import Hub
    from userline.directory.refresher import Refresher
    from userline.directory.users import Users
    from userline.execution.engine import Engine
    from userline.gateway.auth.authenticator import Authenticator
    from userline.gateway.lane import Lane
    from userline.gateway.open_connections import OpenConnections
    from userline.gateway.rate_limit import Pace, RateLimiter
    from userline.gateway.websocket.deliveries import Deliveries
    from userline.gateway.websocket.unidentified import UnidentifiedSockets
    from userline.presence.presence import Presence
    from userline.settings.settings import Settings
    from userline.telemetry.metrics.recorder import Metrics
    from userline.telemetry.metrics.workers import WorkerMetrics


class Measured(Protocol):
    """The parts of a gateway that are measured."""

    settings: Settings
    users: Users
    hub: Hub
    bus: Bus
    engine: Engine
    authenticator: Authenticator
    presence: Presence
    refresher: Refresher
    metrics: Metrics
    rate_limiter: RateLimiter
    pace: Pace
    connections: OpenConnections
    unidentified: UnidentifiedSockets
    deliveries: Deliveries
    lane: Lane | None
    requests_at_once: int

    workers: WorkerMetrics | None

    @property
    def coherent(self) -> bool:
        """Whether changes of all gateways are heard, and nothing that was missed is still to be read."""


class Exposition:
    """Writes the metrics of one gateway process, in parts that do not block the event loop. For one event loop."""

    def __init__(self, measured: Measured) -> None:
        self._measured = measured
        self._of_settings = Fingerprints(measured.settings)
        self._fingerprints: dict[str, str] = {}
        self._process: CollectorRegistry | None = None
        """What Prometheus's library tells of the process, from the first time on that somebody asks."""

    @property
    def _replaced(self) -> Mapping[str, int]:
        workers = self._measured.workers
        return {"died": 0, "hung": 0} if workers is None else workers.replaced()

    async def write(self) -> str:
        """Return the metrics as a text."""
        # The process's own are read from files, and counting tasks looks at each: neither needs the event loop.
        process = await asyncio.to_thread(self._of_process, asyncio.get_running_loop())
        parts = [process]
        for part in self._families():
            parts.append(part)
            await asyncio.sleep(0)
        return "".join(parts)

    def _info(self) -> str:
        """Return what the gateway is, and how it is set, where all must be set alike."""
        told = self._fingerprints
        labels = (("version", __version__), ("fingerprint", of_all(told)))
        return gauge(
            "userline_info",
            "Always 1. The labels have the version and the fingerprint of all settings.",
            [(labels, 1)],
        ) + gauge(
            "userline_setting_info",
            "Always 1. The labels have a setting that must be the same at all gateways, and its fingerprint.",
            [((("setting", name), ("fingerprint", value)), 1) for name, value in told.items()],
        )

    def _of_process(self, loop: asyncio.AbstractEventLoop) -> str:
        self._fingerprints = self._of_settings.now()
        from prometheus_client import (  # noqa: PLC0415 - it loads a server for HTTP, and not everybody asks
            CollectorRegistry,
            GCCollector,
            PlatformCollector,
            ProcessCollector,
            generate_latest,
        )

        if self._process is None:
            registry = CollectorRegistry()
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
            GCCollector(registry=registry)
            self._process = registry
        tasks = gauge("userline_tasks", "Tasks of the event loop.", [((), len(asyncio.all_tasks(loop)))])
        return generate_latest(self._process).decode() + tasks

    def _families(self) -> Iterator[str]:
        """Yield the metrics in parts, each of which takes well below a millisecond."""
        yield "".join(counter(name, text, [((), value)]) for name, (text, value) in self._counters().items())
        yield "".join(gauge(name, text, [((), value)]) for name, (text, value) in self._gauges().items())
        yield self._info()
        yield from self._labelled()
        yield from self._histograms()

    def _counters(self) -> dict[str, tuple[str, float]]:
        measured = self._measured
        users, hub, bus, documents = measured.users, measured.hub, measured.bus, measured.engine.documents
        authenticator, new_sockets = measured.authenticator, measured.unidentified
        keys = authenticator.key_set
        return {
            "userline_store_reads": ("Batched reads of the store.", users.batcher.reads),
            "userline_store_read_ids": ("Ids in batched reads of the store.", users.batcher.ids_read),
            "userline_cache_hits": ("Lookups answered from memory.", hub.hits),
            "userline_cache_misses": ("Lookups that the store had to answer.", hub.misses),
            "userline_deliveries": ("Snapshots handed to watchers.", hub.deliveries),
            "userline_coalesced": (
                "Snapshots that a newer one replaced before their watcher took them.",
                hub.coalesced,
            ),
            "userline_direct_deliveries": ("Snapshots written to sockets directly.", measured.deliveries.delivered),
            "userline_fast_lane_requests": (
                "Requests answered in the fast lane.",
                measured.lane.requests if measured.lane else 0,
            ),
            "userline_shortcut_requests": ("Requests answered in front of the application.", measured.requests_at_once),
            "userline_socket_pauses": (
                "Messages on sockets that were read later because of the rate limit.",
                measured.pace.pauses,
            ),
            "userline_rate_limit_refusals": (
                "Requests refused by the rate limit.",
                measured.rate_limiter.refusals,
            ),
            "userline_bad_tokens": ("Tokens that were refused.", authenticator.refusals),
            "userline_tokens_ended": (
                "Sockets and streams that ended because the key of their token was revoked.",
                authenticator.live.ended,
            ),
            "userline_jwks_fetches": (
                "Fetches of the keys that tokens are verified with.",
                keys.fetches if keys else 0,
            ),
            "userline_jwks_failures": ("Failed fetches of these keys.", keys.failures if keys else 0),
            "userline_new_sockets_refused": (
                "Sockets refused by the limit of an address.",
                new_sockets.refusals,
            ),
            "userline_bus_published": ("Changes published on the bus.", bus.published),
            "userline_bus_publish_failures": (
                "Attempts to publish that failed and are repeated.",
                bus.publish_failures,
            ),
            "userline_bus_dropped": ("Changes never published, because too many waited.", bus.dropped),
            "userline_bus_heard": ("Changes received from the bus.", bus.heard),
            "userline_bus_nonsense": ("Messages on the bus that were not valid.", bus.nonsense),
            "userline_bus_foreign": ("Messages of another app on the bus.", bus.foreign),
            "userline_bus_gaps": ("Gaps: times in which changes may have been lost.", bus.gaps),
            "userline_reread_ids": ("Watched users read again.", measured.refresher.ids_read),
            "userline_document_cache_hits": ("Documents found in the cache.", documents.hits),
            "userline_document_cache_misses": ("Documents that had to be parsed and validated.", documents.misses),
        }

    def _gauges(self) -> dict[str, tuple[str, float]]:
        measured = self._measured
        hub, bus, keys = measured.hub, measured.bus, measured.authenticator.key_set
        return {
            "userline_jwks_keys": ("Public keys that tokens are checked with.", keys.count if keys else 0),
            "userline_jwks_age_seconds": ("Time since these keys were fetched.", keys.age if keys else 0),
            "userline_document_cache_bytes": (
                "Approximate memory of cached documents.",
                measured.engine.documents.weight,
            ),
            "userline_cached_users": ("Users in memory.", len(hub)),
            "userline_watchers": ("Watchers of users.", hub.watcher_count),
            "userline_connected_users": ("Users connected at this gateway.", measured.presence.users_here),
            "userline_sockets": ("Open WebSockets.", measured.connections.sockets),
            "userline_streams": ("Subscriptions that are being streamed over HTTP.", len(measured.connections.streams)),
            "userline_new_sockets": (
                "Open WebSockets without connection_init so far.",
                len(measured.unidentified),
            ),
            "userline_sockets_limit": ("How many WebSockets and streams may be open.", measured.settings.max_sockets),
            "userline_bus_waiting": ("Users whose change is still to be published.", bus.waiting),
            "userline_bus_connected": ("1 while changes are received from the bus.", int(bus.connected)),
            "userline_coherent": ("1 if no missed changes are still to be read.", int(measured.coherent)),
        }

    def _labelled(self) -> Iterator[str]:
        measured = self._measured
        metrics = measured.metrics
        yield counter(
            "userline_requests",
            "GraphQL operations by name and first error.",
            [
                ((("operation", operation), ("code", code)), count)
                for (operation, code), count in sorted(metrics.requests.items())
            ],
        )
        quick = Counter({("POST", 200): measured.requests_at_once + (measured.lane.requests if measured.lane else 0)})
        yield counter(
            "userline_http_responses",
            "Answers to HTTP requests.",
            [
                ((("method", method), ("status", str(status))), count)
                for (method, status), count in sorted((metrics.http_responses + quick).items())
            ],
        )
        yield counter(
            "userline_store_errors",
            "Calls of the store that it did not answer.",
            [((("call", call),), metrics.store_errors[call]) for call in STORE_CALLS],
        )
        yield counter(
            "userline_worker_replacements",
            "Replacements of workers; all workers report the same number.",
            [((("reason", reason),), count) for reason, count in self._replaced.items()],
        )
        yield counter(
            "userline_reaped",
            "Clients that were disconnected.",
            [((("reason", reason.value),), CUT_OFFS[reason]) for reason in Reason],
        )

    def _histograms(self) -> Iterator[str]:
        metrics = self._measured.metrics
        yield from histogram("userline_request_seconds", "Time of an operation.", "operation", metrics.request_seconds)
        yield from histogram("userline_store_seconds", "Time of a call of the store.", "call", metrics.store_seconds)
        for name, text, one in (
            ("userline_store_batch_ids", "Ids in a read of the store.", metrics.store_batch_ids),
            (
                "userline_bus_lag_seconds",
                "Time from publishing a change to receiving it at the same gateway.",
                metrics.bus_lag,
            ),
            ("userline_loop_lag_seconds", "How late the event loop runs its callbacks.", metrics.loop_lag),
            ("userline_turn_wait_seconds", "Time that operations waited for their turn.", metrics.turn_wait),
        ):
            yield from histogram(name, text, "", {"": one})
