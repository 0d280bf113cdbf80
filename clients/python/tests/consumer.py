"""A program that uses the client, for type checkers to read as its author's would: from outside, and strictly."""

import asyncio
from collections.abc import Mapping
from typing import Literal, assert_never, assert_type

from userline_client import (
    UNSET,
    Active,
    App,
    Backoff,
    BadUserInput,
    CreateResult,
    Failed,
    OnlineSubscription,
    Pending,
    Problem,
    Session,
    SetResult,
    SubscriptionState,
    Unsubscribed,
    UserlineError,
    UserOnline,
    UserRef,
    UserSnapshot,
    UsersSubscription,
    UserSubscription,
)


def by_type(state: SubscriptionState) -> str:
    """Narrow by ``type``."""
    assert_type(state.type, Literal["pending", "active", "unsubscribed", "error"])
    match state.type:
        case "pending":
            return "not yet"
        case "active":
            return "nobody" if state.latest_snapshot is None else state.latest_snapshot.name
        case "unsubscribed":
            return "no more"
        case "error":
            return state.error.message


def by_class(state: SubscriptionState) -> str:
    """Narrow by class."""
    match state:
        case Pending():
            return "not yet"
        case Active(latest_snapshot=snapshot):
            return "nobody" if snapshot is None else snapshot.name
        case Unsubscribed():
            return "no more"
        case Failed(error=error):
            return error.code
        case _:
            assert_never(state)


async def fetch_token() -> str:
    """Return a token that is none."""
    return "a JWT"


def complain(error: UserlineError) -> None:
    """Say what is wrong."""
    print(error.code, error.message)


async def main(url: str) -> None:
    """Use everything."""
    async with Session(url, on_need_token=fetch_token, on_error=complain, backoff=Backoff(base=1)) as session:
        assert_type(session.current_user, UserRef | None)
        alice = session.user("alice")
        assert_type(await alice.get(), UserSnapshot | None)
        created = await alice.create_if_not_exists(name="Alice", custom={"team": "blue"}, locale=None)
        assert_type(created, CreateResult)
        result = await alice.set(locale="nl")
        try:
            result = await alice.set(name=UNSET, custom={"team": None}, photo_url=None, email="a@example.com")
            assert_type(result, SetResult)
            assert_type(result.user.custom, Mapping[str, str])
        except BadUserInput as error:
            assert_type(error.problems, tuple[Problem, ...])
        seen: list[UserSnapshot | None] = []
        async with alice.subscribe(seen.append) as subscription:
            assert_type(subscription, UserSubscription)
            assert_type(await subscription.connected, Active[UserSnapshot | None])
            async for snapshot in subscription:
                assert_type(snapshot, UserSnapshot | None)
                break
            print(by_type(subscription.state), by_class(subscription.state))
        assert_type(await subscription.terminated, Unsubscribed | Failed)
        async with session.users(["a", "b"]).subscribe() as many:
            assert_type(many, UsersSubscription)
            assert_type((await many.connected).latest_snapshot, Mapping[str, UserSnapshot | None])
        async with alice.subscribe_online(lambda online: print(online.is_connected)) as online:
            assert_type(online, OnlineSubscription)
            assert_type((await online.connected).latest_snapshot, UserOnline)
        assert_type(await session.users(("a", "b")).get(), list[UserSnapshot | None])
        assert_type(await alice.delete(), bool)
        app = await session.app()
        assert_type(app, App)
        assert_type((result.user.version, result.user.effective_locale, app.default_locale), tuple[str, str, str])
        async with Session.shared(url, user_id="alice", on_need_token=fetch_token, timeout=5) as shared:
            assert_type(shared, Session)
        people = await asyncio.gather(*(session.user(user_id).get() for user_id in ("a", "b")))
        assert_type(people, list[UserSnapshot | None])
        session.set_token("another")
