"""Redis as a bus: Pub/Sub of a master, with nothing stored."""

from userline.changes.redis.backend import RedisBackend
from userline.changes.redis.url import check_redis_url

__all__ = ["RedisBackend", "check_redis_url"]
