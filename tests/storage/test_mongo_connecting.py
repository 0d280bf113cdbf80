"""Connections to MongoDB that are given up while they are being made."""

from __future__ import annotations

import asyncio
import gc
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from pymongo.errors import PyMongoError

from tests.support.mongo_wire import ScriptedStream, WireProxy
from userline.storage.mongo.driver import DRIVERS
from userline.storage.mongo.url import parse_mongo_url

if TYPE_CHECKING:
    from userline.storage.mongo.driver import DriverName


@pytest.mark.parametrize("given_up", ["the command", "the client"])
@pytest.mark.parametrize("driver", ["motor", "pymongo"])
async def test_no_socket_is_left_to_the_collector(driver: DriverName, given_up: str) -> None:
    """Whichever step of the event loop it comes at."""
    for steps in range(16):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            async with await WireProxy.open(players=[ScriptedStream()]) as proxy:
                client = DRIVERS[driver](parse_mongo_url(proxy.url("userline", retryReads="false")))
                ping = asyncio.create_task(client.ping())
                for _ in range(steps):
                    await asyncio.sleep(0)
                if given_up == "the command":
                    ping.cancel()
                    await asyncio.wait([ping])
                await client.close()
                with suppress(PyMongoError, asyncio.CancelledError):
                    await ping
            gc.collect()
        assert not [str(each.message) for each in told if each.category is ResourceWarning], steps
