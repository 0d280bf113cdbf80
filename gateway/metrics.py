"""What Prometheus can read: the counters of the gateway's parts, collected when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from userline.gateway.protocols.stuck import StuckWatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from userline.gateway.runtime import Runtime


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
        users, hub, bus, documents = (
            self._runtime.users,
            self._runtime.hub,
            self._runtime.bus,
            self._runtime.engine.documents,
        )
        authenticator, new_sockets = self._runtime.authenticator, self._runtime.new_sockets
        counters = {
            "userline_store_reads": ("Batched reads of the store.", users.batcher.reads),
            "userline_store_read_ids": ("Ids in batched reads of the store.", users.batcher.ids_read),
            "userline_cache_hits": ("Lookups answered from the snapshots held.", hub.hits),
            "userline_cache_misses": ("Lookups that the store had to answer.", hub.misses),
            "userline_deliveries": ("Snapshots handed to watchers.", hub.deliveries),
            "userline_bus_published": ("Changes published on the bus.", bus.published),
            "userline_bus_publish_failures": (
                "Attempts to publish that failed and are repeated.",
                bus.publish_failures,
            ),
            "userline_bus_dropped": ("Changes never published, because too many waited.", bus.dropped),
            "userline_bus_heard": ("Changes heard on the bus.", bus.heard),
            "userline_bus_nonsense": ("What was on the bus and made no sense.", bus.nonsense),
            "userline_bus_gaps": ("Times that changes were not heard for a while.", bus.gaps),
            "userline_reread_ids": ("Watched users read again.", self._runtime.refresher.ids_read),
            "userline_direct_deliveries": (
                "Snapshots written to sockets directly.",
                self._runtime.deliveries.delivered,
            ),
            "userline_coalesced_snapshots": (
                "Snapshots that a newer one took the place of before they were written.",
                self._runtime.deliveries.coalesced,
            ),
            "userline_fast_lane_requests": ("Requests answered in the fast lane.", self._runtime.lane_requests),
            "userline_stuck_clients_cut": ("Connections cut because the client had stopped reading.", StuckWatch.cut),
            "userline_document_cache_hits": ("Documents found parsed and validated.", documents.hits),
            "userline_document_cache_misses": ("Documents that had to be parsed and validated.", documents.misses),
            "userline_rate_limit_refusals": ("Requests past the rate limit.", self._runtime.rate_limiter.refusals),
            "userline_bad_tokens": ("Tokens that were refused.", authenticator.refusals),
            "userline_new_sockets_refused": ("Sockets past the limit of an address.", new_sockets.refusals),
        }
        gauges = {
            "userline_cached_users": ("Users held in memory.", len(hub)),
            "userline_watchers": ("Watchers of users.", hub.watcher_count),
            "userline_sockets": ("Open WebSockets.", self._runtime.sockets),
            "userline_new_sockets": ("Open WebSockets that have not said yet who they are.", len(new_sockets)),
            "userline_bus_waiting": ("Users whose change is still to be published.", bus.waiting),
            "userline_bus_connected": ("1 while changes are heard on the bus.", int(bus.connected)),
        }
        for name, (text, value) in counters.items():
            yield CounterMetricFamily(name, text, value)
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(name, text, value)
