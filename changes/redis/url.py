"""What may stand in the URL of a Redis."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

# What a URL may say beyond the address. Anything else that redis-py takes, such as time-outs, is set here.
_OPTIONS: Final = re.compile(r"username|password|db|client_name|protocol|ssl_\w+")


def check_redis_url(url: str) -> None:
    """Raise ValueError, with a sentence that says what to write, if ``url`` is no URL of a Redis."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("The URL of the bus is not a URL. An example: redis://127.0.0.1:6379.") from None
    if not parts.hostname:
        raise ValueError("The URL of the bus has no host. An example: redis://127.0.0.1:6379.")
    for option in parse_qs(parts.query, keep_blank_values=True):
        if not _OPTIONS.fullmatch(option):
            raise ValueError("The URL of the bus has an option that it cannot have. Leave out what follows the ?.")
    try:
        Redis.from_url(url).connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except (RedisError, TypeError, ValueError):
        raise ValueError("The URL of the bus has an option that it cannot have, or not with that value.") from None
