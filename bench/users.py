"""The users that are read and written, and the operations on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from userline.storage.sqlite import SQLiteUserStore
from userline.users.patch import parse_new_user
from userline.users.rules import Rules

if TYPE_CHECKING:
    from pathlib import Path

USERS: Final = 1000

_FIELDS: Final = "id name custom locale photoUrl role welcomeMessage"
_READ: Final = f"query($id: ID!) {{ user(id: $id) {{ {_FIELDS} }} }}"
_READ_MANY: Final = f"query($ids: [ID!]!) {{ users(ids: $ids) {{ {_FIELDS} }} }}"
_WRITE: Final = (
    "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { changed user { id name } } }"
)
_WATCH: Final = f"subscription($id: ID!) {{ userChanged(id: $id) {{ {_FIELDS} }} }}"


def user_id(number: int) -> str:
    return f"user-{number % USERS:04}"


def fields(number: int) -> dict[str, Any]:
    """Return what a user is given, the public half alone."""
    return {
        "name": f"User {number}",
        "custom": {"team": f"team-{number % 7}", "title": "Engineer", "timezone": "Europe/Vienna"},
        "locale": "de-AT",
        "photoUrl": f"https://example.com/photos/{number}.png",
        "role": "default",
        "welcomeMessage": "Hello, how can I help you?",
    }


async def seed(path: Path) -> None:
    """Write a store of all users."""
    rules = Rules()
    store = SQLiteUserStore(path, rules)
    await store.open()
    try:
        for number in range(USERS):
            await store.create_if_not_exists(user_id(number), parse_new_user(fields(number), rules))
    finally:
        await store.close()


def read(number: int) -> bytes:
    return _post(_READ, {"id": user_id(number)})


def read_many(first: int, count: int) -> bytes:
    return _post(_READ_MANY, {"ids": [user_id(first + number) for number in range(count)]})


def write(number: int, name: str) -> bytes:
    return _post(_WRITE, {"id": user_id(number), "input": {"name": name}})


def watch(number: int) -> dict[str, Any]:
    """Return the payload of a ``subscribe`` message."""
    return {"query": _WATCH, "variables": {"id": user_id(number)}}


def _post(query: str, variables: dict[str, Any]) -> bytes:
    body = orjson.dumps({"query": query, "variables": variables})
    head = (
        "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
