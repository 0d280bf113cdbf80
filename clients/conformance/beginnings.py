"""What many cases begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clients.conformance.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from clients.conformance.gateway import End, Message
    from clients.conformance.handles import Session, Subscription
    from clients.conformance.world import World


def numbered(count: int, start: int = 0) -> list[str]:
    """Return so many ids."""
    return [f"u{number}" for number in range(start, start + count)]


def sizes(world: World) -> list[int]:
    """Return how many users each operation asked for."""
    return [len(ids) for ids in world.gateway.watched]


async def watching(world: World, user: str = "a") -> tuple[Session, Subscription]:
    """Return a session and its active subscription to a user."""
    session = await world.open()
    subscription = await session.subscribe(user)
    await subscription.connected()
    return session, subscription


def hold_back(world: World, of: str = "mutation") -> Callable[[], None]:
    """Hold back the answers to what has this in its document; return what lets them out."""
    held: list[Callable[[], None]] = []
    gateway = world.gateway

    def hook(end: Any, message: Message) -> bool:
        if message["type"] != "subscribe" or of not in message["payload"]["query"]:
            return False
        held.append(lambda: gateway.run(end, message["id"], message["payload"]))
        return True

    def let_out() -> None:
        gateway.hook = None
        for answer in held:
            answer()

    gateway.hook = hook
    return let_out


def watch_of(world: World, number: int = 0) -> str:
    """Return the id of an operation that watches."""
    watches = [each for each in world.gateway.subscribed if "usersChanged" in each["payload"]["query"]]
    return str(watches[number]["id"])


def tell(world: World, user: Message | None, user_id: str = "a", watch: int = 0) -> None:
    """Send an event about one user."""
    operation = watch_of(world, watch)
    world.gateway.socket.next(operation, {"usersChanged": [{"id": user_id, "user": user}]})


def refuse_next(world: World, refusals: list[Message | None], form: str = "error", of: str = "usersChanged") -> None:
    """Refuse the next operations, one after the other; None ends one without a word."""

    def hook(end: End, message: Message) -> bool:
        if message["type"] != "subscribe" or of not in message["payload"]["query"] or not refusals:
            return False
        error = refusals.pop(0)
        if error is not None and form == "error":
            end.tell({"id": message["id"], "type": "error", "payload": [error]})
        elif error is not None:
            end.next(message["id"], None, [{**error, "path": ["usersChanged"]}])
        if error is None or form != "error":
            end.complete(message["id"])
        return True

    world.gateway.hook = hook


def user_without(field: str) -> dict[str, Any]:
    """Return a user as it would stand in an answer, but for one field."""
    user = Gateway().put("a")
    del user[field]
    return user
