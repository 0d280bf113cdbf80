"""Options of a driver that the URL does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from userline.storage.mongo.distance import Sizes
    from userline.storage.mongo.url import MongoURL

_HEARTBEAT_MILLISECONDS: Final = 2000


def client_options(url: MongoURL, sizes: Sizes) -> dict[str, Any]:
    """Return what the drivers would otherwise wait too long for, or for ever, except where the URL says it."""
    most = url.most_connections or max(sizes.pool, url.fewest_connections)
    milliseconds = int(url.seconds * 1000)
    defaults = {
        "appName": "userline",
        "timeoutMS": milliseconds,
        "serverSelectionTimeoutMS": milliseconds,
        "connectTimeoutMS": milliseconds,
        "socketTimeoutMS": milliseconds,
        "waitQueueTimeoutMS": milliseconds,
        "heartbeatFrequencyMS": _HEARTBEAT_MILLISECONDS,
        "maxPoolSize": most,
        "maxConnecting": sizes.connecting,
    }
    return {name: value for name, value in defaults.items() if name.lower() not in url.options}
