"""The first commands of a connection: checks of the database, and the round-trip time."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from userline.storage.mongo.collection import check_collection
from userline.storage.mongo.connection import Connection
from userline.storage.mongo.distance import NEAR, SIZES, Distance, sizes_for
from userline.storage.mongo.driver import DRIVERS, Driver
from userline.storage.mongo.format import check_format

if TYPE_CHECKING:
    from userline.storage.mongo.driver import DriverName
    from userline.storage.mongo.url import MongoURL

_PINGS: Final = 5


async def open_connection(driver: DriverName, url: MongoURL, *, create: bool) -> Connection:
    """Return a connection that suits the distance, once the database was looked at.

    Raises what commands do, StoreFormatError, and StoreMissing if there is no user and nothing may be created.
    """
    opened = Connection(DRIVERS[driver](url), url)
    try:
        await opened.ask(partial(check_collection, database=url.database), opened.deadline)
        await opened.ask(partial(check_format, database=url.database, create=create), opened.deadline)
        sizes = sizes_for(min(opened.round_trip, opened.quickest))
        if sizes != NEAR and not url.options >= SIZES:
            # A driver's sizes cannot be changed. This one was to find out how far away the servers are.
            await opened.close()
            opened = Connection(DRIVERS[driver](url, sizes), url)
            # By pings at the same time: what a driver keeps open by itself (minPoolSize), it complains of in each
            # second of an outage.
            pings = min(sizes.connecting, opened.driver.most_commands)
            await asyncio.gather(*(opened.ask(Driver.ping, opened.deadline) for _ in range(pings)))
    except BaseException:
        await opened.close()
        raise
    return opened


async def measure(connection: Connection) -> Distance:
    """Return how far away the servers are, by pings one after the other. Raises StoreUnavailable."""
    await connection.run(Driver.ping, connection.deadline)  # which may have had to connect first
    took = []
    for _ in range(_PINGS):
        started = time.perf_counter()
        await connection.run(Driver.ping, connection.deadline)
        took.append(time.perf_counter() - started)
    return Distance(min(took), connection.driver.most_commands)
