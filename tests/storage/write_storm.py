"""A process that writes users as fast as it can and prints each write once it is acknowledged.

Usage: write_storm.py FILE CALLER COUNT. Each of 40 tasks patches one of five users, each time setting the custom key
``CALLER.TASK`` to its next number, COUNT times; an acknowledged write is printed as ``USER KEY NUMBER VERSION``.
"""

import asyncio
import sys

from userline.storage.sqlite import SQLiteUserStore
from userline.users.patch import parse_patch
from userline.users.rules import Limits, Rules

RULES = Rules(Limits(custom_keys=10_000, record_bytes=10_000_000))


async def storm(path: str, caller: str, count: int) -> None:
    store = SQLiteUserStore(path, RULES)
    await store.open()

    async def write(task: int) -> None:
        user, key = f"user-{task % 5}", f"{caller}.{task}"
        for number in range(count):
            result = await store.patch(user, parse_patch({"name": "Alice", "custom": {key: str(number)}}, RULES))
            print(user, key, number, result.after.snapshot.version, flush=True)

    await asyncio.gather(*(write(task) for task in range(40)))
    await store.close()


if __name__ == "__main__":
    asyncio.run(storm(sys.argv[1], sys.argv[2], int(sys.argv[3])))
