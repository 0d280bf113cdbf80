"""The users that are read and written, the operations on them, and the right answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.http_load import post
from userline.storage.protocol import MAX_WRITES
from userline.users.patch import parse_patch
from userline.users.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from userline.storage.protocol import UserStore

USERS: Final = 5000
"""How many there are. All names and ids are equally long, so that all answers to one operation are."""

READ_USERS: Final = 1000
"""How many of them are read and written over HTTP."""

_FIELDS: Final = "id name custom locale photoUrl role welcomeMessage"
_READ: Final = f"query($id: ID!) {{ user(id: $id) {{ {_FIELDS} }} }}"
_READ_MANY: Final = f"query($ids: [ID!]!) {{ users(ids: $ids) {{ {_FIELDS} }} }}"
_WRITE: Final = (
    "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { changed user { id name } } }"
)
_WATCH: Final = f"subscription($id: ID!) {{ userChanged(id: $id) {{ {_FIELDS} }} }}"
_WATCH_MANY: Final = f"subscription($ids: [ID!]!) {{ usersChanged(ids: $ids) {{ id user {{ {_FIELDS} }} }} }}"


def user_id(number: int) -> str:
    return f"user-{number:04}"


def number_of(user_id: str) -> int:
    return int(user_id.removeprefix("user-"))


def user(number: int) -> dict[str, Any]:
    """Return the user as everybody sees it."""
    return {
        "id": user_id(number),
        "name": f"User {number:04}",
        "custom": {"team": f"team-{number % 7}", "title": "Engineer", "timezone": "Europe/Vienna"},
        "locale": "de-AT",
        "photoUrl": f"https://example.com/photos/{number:04}.png",
        "role": "default",
        "welcomeMessage": "Hello, how can I help you?",
    }


def write_file(path: Path) -> None:
    """Write all users into a file, as an array in JSON."""
    path.write_bytes(orjson.dumps([user(number) for number in range(USERS)]))


async def fill(store: UserStore, count: int = USERS) -> None:
    """Write users into an empty store, and close it."""
    rules = Rules()
    await store.open()
    try:
        for first in range(0, count, MAX_WRITES):
            numbers = range(first, min(first + MAX_WRITES, count))
            await store.patch_many({user_id(number): _patch(number, rules) for number in numbers})
    finally:
        await store.close()


def _patch(number: int, rules: Rules) -> Any:
    return parse_patch({name: value for name, value in user(number).items() if name != "id"}, rules)


class Operation:
    """What one request asks for, and the JSON that is right."""

    def __init__(self, query: str, variables: dict[str, Any], data: dict[str, Any]) -> None:
        self.body = orjson.dumps({"query": query, "variables": variables})
        self.answer = {"data": data}


def read(number: int) -> Operation:
    return Operation(_READ, {"id": user_id(number)}, {"user": user(number)})


def read_many(numbers: Iterable[int]) -> Operation:
    found = [user(number) for number in numbers]
    return Operation(_READ_MANY, {"ids": [each["id"] for each in found]}, {"users": found})


def read_aliases(numbers: Iterable[int]) -> Operation:
    """Read several users by an alias for each: a document that never changes, with a variable for each."""
    found = [user(number) for number in numbers]
    variables = " ".join(f"$i{place}: ID!" for place in range(len(found)))
    fields = " ".join(f"u{place}: user(id: $i{place}) {{ {_FIELDS} }}" for place in range(len(found)))
    return Operation(
        f"query({variables}) {{ {fields} }}",
        {f"i{place}": each["id"] for place, each in enumerate(found)},
        {f"u{place}": each for place, each in enumerate(found)},
    )


def write(number: int, name: str) -> Operation:
    found = user_id(number)
    payload = {"changed": True, "user": {"id": found, "name": name}}
    return Operation(_WRITE, {"id": found, "input": {"name": name}}, {"setUser": payload})


def watch(number: int) -> dict[str, Any]:
    """Return the payload of a ``subscribe`` message."""
    return {"query": _WATCH, "variables": {"id": user_id(number)}}


def watch_many(numbers: Iterable[int]) -> dict[str, Any]:
    """Return the payload of a ``subscribe`` message for a list of users."""
    return {"query": _WATCH_MANY, "variables": {"ids": [user_id(number) for number in numbers]}}


def read_at_once(token: str) -> list[tuple[bytes, Callable[[Any], bool]]]:
    """Return a request for each user by GraphQL, and what says whether its answer is right."""

    def of(number: int) -> tuple[bytes, Callable[[Any], bool]]:
        operation = read(number)
        return post(operation.body, token), lambda found: bool(found == operation.answer)

    return [of(number) for number in range(READ_USERS)]


def records_at_once(token: str) -> list[tuple[bytes, Callable[[Any], bool]]]:
    """Return a request for the whole record of each user by REST, and what says whether its answer is right."""

    def of(number: int) -> tuple[bytes, Callable[[Any], bool]]:
        wanted = user(number)
        head = (
            f"GET /v1/userline/users/{user_id(number)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        )
        return head.encode(), lambda found: bool({name: found.get(name) for name in wanted} == wanted)

    return [of(number) for number in range(READ_USERS)]
