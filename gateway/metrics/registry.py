"""The metrics of a gateway, in Prometheus's format."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from userline import __version__
from userline.gateway.protocols.reaped import REAPED, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import Metric

    from userline.gateway.metrics.histogram import Histogram
    from userline.gateway.runtime import Runtime

_STORE_CALLS: Final = ("get_many", "create_if_not_exists", "patch", "patch_many", "list_users", "ping")


def make_registry(runtime: Runtime) -> CollectorRegistry:
    """Return a registry with the gateway's metrics and those of its process."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    registry.register(_RuntimeCollector(runtime))
    return registry


class _RuntimeCollector(Collector):
    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def collect(self) -> Iterator[Metric]:
        for name, (text, value) in self._counters().items():
            yield CounterMetricFamily(name, text, value)
        for name, (text, value) in self._gauges().items():
            yield GaugeMetricFamily(name, text, value)
        version = GaugeMetricFamily("userline_info", "1; the label has the version.", labels=["version"])
        version.add_metric([__version__], 1)
        yield version
        yield from self._labelled()
        yield from self._histograms()

    def _counters(self) -> dict[str, tuple[str, float]]:
        runtime = self._runtime
        users, hub, bus, documents = runtime.users, runtime.hub, runtime.bus, runtime.engine.documents
        authenticator, new_sockets = runtime.authenticator, runtime.new_sockets
        return {
            "userline_store_reads": ("Batched reads of the store.", users.batcher.reads),
            "userline_store_read_ids": ("Ids in batched reads of the store.", users.batcher.ids_read),
            "userline_cache_hits": ("Lookups answered from the snapshots held.", hub.hits),
            "userline_cache_misses": ("Lookups that the store had to answer.", hub.misses),
            "userline_deliveries": ("Snapshots handed to watchers.", hub.deliveries),
            "userline_coalesced": (
                "Snapshots that a newer one replaced before their watcher took them.",
                hub.coalesced,
            ),
            "userline_direct_deliveries": ("Snapshots written to sockets directly.", runtime.deliveries.delivered),
            "userline_fast_lane_requests": ("Requests answered in the fast lane.", runtime.lane_requests),
            "userline_shortcut_requests": ("Requests answered by the shortcut.", runtime.shortcut_requests),
            "userline_rate_limit_refusals": ("Requests past the rate limit.", runtime.rate_limiter.refusals),
            "userline_bad_tokens": ("Tokens that were refused.", authenticator.refusals),
            "userline_new_sockets_refused": ("Sockets past the limit of an address.", new_sockets.refusals),
            "userline_bus_published": ("Changes published on the bus.", bus.published),
            "userline_bus_publish_failures": (
                "Attempts to publish that failed and are repeated.",
                bus.publish_failures,
            ),
            "userline_bus_dropped": ("Changes never published, because too many waited.", bus.dropped),
            "userline_bus_heard": ("Changes heard on the bus.", bus.heard),
            "userline_bus_nonsense": ("What was on the bus and made no sense.", bus.nonsense),
            "userline_bus_gaps": ("Times that changes were not heard for a while.", bus.gaps),
            "userline_reread_ids": ("Watched users read again.", runtime.refresher.ids_read),
            "userline_document_cache_hits": ("Documents found parsed and validated.", documents.hits),
            "userline_document_cache_misses": ("Documents that had to be parsed and validated.", documents.misses),
        }

    def _gauges(self) -> dict[str, tuple[str, float]]:
        runtime = self._runtime
        hub, bus = runtime.hub, runtime.bus
        return {
            "userline_cached_users": ("Users held in memory.", len(hub)),
            "userline_watchers": ("Watchers of users.", hub.watcher_count),
            "userline_connected_users": ("Users connected at this gateway.", runtime.presence.users_here),
            "userline_sockets": ("Open WebSockets.", runtime.sockets),
            "userline_streams": ("Subscriptions that are being streamed over HTTP.", len(runtime.streams)),
            "userline_tasks": ("Tasks of the event loop.", len(asyncio.all_tasks())),
            "userline_new_sockets": (
                "Open WebSockets that have not said yet who they are.",
                len(runtime.new_sockets),
            ),
            "userline_sockets_limit": ("How many WebSockets and streams may be open.", runtime.settings.max_sockets),
            "userline_bus_waiting": ("Users whose change is still to be published.", bus.waiting),
            "userline_bus_connected": ("1 while changes are heard on the bus.", int(bus.connected)),
            "userline_coherent": ("1 while nothing that was missed is still to be read.", int(runtime.coherent)),
        }

    def _labelled(self) -> Iterator[Metric]:
        runtime = self._runtime
        metrics = runtime.metrics
        requests = CounterMetricFamily(
            "userline_requests", "GraphQL operations by name and first error.", labels=["operation", "code"]
        )
        for (operation, code), count in sorted(metrics.requests.items()):
            requests.add_metric([operation, code], count)
        yield requests
        responses = CounterMetricFamily(
            "userline_http_responses", "Answers to HTTP requests.", labels=["method", "status"]
        )
        quick = Counter({("POST", 200): runtime.lane_requests + runtime.shortcut_requests})
        for (method, status), count in sorted((metrics.http_responses + quick).items()):
            responses.add_metric([method, str(status)], count)
        yield responses
        errors = CounterMetricFamily(
            "userline_store_errors", "Calls of the store that it did not answer.", labels=["call"]
        )
        for call in _STORE_CALLS:
            errors.add_metric([call], metrics.store_errors[call])
        yield errors
        reaped = CounterMetricFamily("userline_reaped", "Clients that were cut off.", labels=["reason"])
        for reason in Reason:
            reaped.add_metric([reason], REAPED[reason])
        yield reaped

    def _histograms(self) -> Iterator[Metric]:
        metrics = self._runtime.metrics
        yield _by_label("userline_request_seconds", "Time of an operation.", "operation", metrics.request_seconds)
        yield _by_label("userline_store_seconds", "Time of a call of the store.", "call", metrics.store_seconds)
        for name, text, histogram in (
            ("userline_store_batch_ids", "Ids in a read of the store.", metrics.store_batch_ids),
            ("userline_bus_lag_seconds", "Time from publishing a change to hearing it oneself.", metrics.bus_lag),
            ("userline_loop_lag_seconds", "How late the event loop is.", metrics.loop_lag),
            ("userline_turn_wait_seconds", "Time that operations waited for their turn.", metrics.turn_wait),
        ):
            yield HistogramMetricFamily(name, text, histogram.buckets(), histogram.total)


def _by_label(name: str, text: str, label: str, histograms: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label])
    for value, histogram in sorted(histograms.items()):
        family.add_metric([value], histogram.buckets(), histogram.total)
    return family
