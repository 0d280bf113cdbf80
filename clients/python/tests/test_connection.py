"""The connection: when there is one, how it comes back, and how it ends."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import statistics
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from clients.python.tests.helpers import SOON, make_certificate, new_id, session_with
from clients.conformance.proxy import proxy_to
from clients.python.tests.scripted import scripted_gateway, user
from tests.support.tokens import token_of
from tests.support.waiting import until
from websockets.asyncio.server import serve

from userline_client import (
    Active,
    Backoff,
    ConnectionTimeout,
    Disconnected,
    Failed,
    InvalidInput,
    ProtocolError,
    Session,
    SessionClosed,
    Unauthenticated,
    Unsubscribed,
    UserlineError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from clients.python.tests.scripted import ScriptedGateway
    from tests.support.gateway import RunningGateway

    from userline_client import UserSnapshot

NOWHERE = "ws://127.0.0.1:1/graphql"


@pytest.mark.behaviour(33)
async def test_it_is_made_when_needed_and_closed_when_idle(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, idle_seconds=0.05) as session:
        ref = session.user("a")
        await asyncio.sleep(0.1)
        assert scripted.sockets == 0
        for number in (1, 2):
            writing = asyncio.create_task(ref.set(name="A"))
            request = await scripted.expect("subscribe", "setUser")
            await asyncio.sleep(0.1)
            assert session._core.connection.is_open, "closed with a request under way"
            await scripted.answer(request, setUser={"user": user("a", "A"), "created": False, "changed": False})
            await writing
            assert scripted.sockets == number
            await until(lambda: not session._core.connection.is_open)
        async with ref.subscribe() as subscription:
            await scripted.tell(await scripted.expect_watch(), user("a", "A"))
            await subscription.connected
            await asyncio.sleep(0.1)
            assert session._core.connection.is_open, "closed with a user watched"
        await until(lambda: not session._core.connection.is_open)
        assert not session._core._watches._by_key, "what only lingers went with it"


@pytest.mark.behaviour(33)
async def test_an_idle_socket_is_closed_at_the_gateway_too(gateway: RunningGateway) -> None:
    sockets = gateway.metric("userline_sockets")
    async with session_with(gateway, idle_seconds=0.05) as session:
        await session.user(new_id()).get()
        await until(lambda: gateway.metric("userline_sockets") == sockets)
        assert await session.user(new_id()).get() is None


@pytest.mark.behaviour(34)
async def test_a_lost_connection_comes_back_and_shows_only_what_differs(gateway: RunningGateway) -> None:
    changed, same = new_id(), new_id()
    seen: dict[str, list[UserSnapshot | None]] = {changed: [], same: []}
    async with (
        proxy_to(int(gateway.url.rpartition(":")[2])) as proxy,
        session_with(proxy.url, backoff=SOON) as session,
    ):
        subscriptions = [session.user(user_id).subscribe(seen[user_id].append) for user_id in (changed, same)]
        await asyncio.gather(*(subscription.connected for subscription in subscriptions))
        for number in range(5):
            proxy.is_open = False
            proxy.cut()
            gateway.set_user(changed, name=str(number))
            await asyncio.sleep(0.05)
            assert all(isinstance(subscription.state, Active) for subscription in subscriptions)
            proxy.is_open = True
            await until(lambda expected=number + 2: len(seen[changed]) == expected)  # type: ignore[misc]
        gateway.set_user(same, name="Now")
        await until(lambda: len(seen[same]) == 2)
    assert [snapshot and snapshot.name for snapshot in seen[changed]] == [None, "0", "1", "2", "3", "4"]


class _Noted(Backoff):
    """Notes how many failures in a row it is asked about."""

    noted: list[int] = []  # noqa: RUF012 - of the one test that uses it

    def seconds(self, failures: int) -> float:
        self.noted.append(failures)
        return 0.0 if failures == 0 else 0.002


@pytest.mark.behaviour(34)
async def test_the_pauses_grow_until_there_is_a_connection_again(gateway: RunningGateway) -> None:
    async with (
        proxy_to(int(gateway.url.rpartition(":")[2])) as proxy,
        session_with(proxy.url, backoff=_Noted()) as session,
    ):
        subscription = session.user(new_id()).subscribe()
        await subscription.connected
        for _ in range(2):
            proxy.is_open = False
            proxy.cut()
            await until(lambda: 4 in _Noted.noted)
            proxy.is_open = True
            await session.user(new_id()).get()
            assert [number for number in _Noted.noted if number <= 4] == ([0] if 0 in _Noted.noted else []) + [
                1,
                2,
                3,
                4,
            ]
            _Noted.noted.clear()


@pytest.mark.behaviour(34)
@pytest.mark.parametrize(("failures", "most"), [(1, 0.5), (2, 1.0), (4, 4.0), (5, 8.0), (6, 10.0), (10_000, 10.0)])
def test_the_jitter_is_full(failures: int, most: float) -> None:
    pauses = [Backoff().seconds(failures) for _ in range(1000)]
    assert 0 <= min(pauses) < most / 10
    assert most * 0.9 < max(pauses) <= most
    assert most * 0.4 < statistics.mean(pauses) < most * 0.6


@pytest.mark.behaviour(36)
async def test_requests_under_way_are_sent_again(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        ref = session.user("a")
        asking = [
            asyncio.create_task(ref.get()),
            asyncio.create_task(ref.set(name="A")),
            asyncio.create_task(ref.create_if_not_exists(name="A")),
        ]
        sent = [await scripted.expect("subscribe") for _ in asking]
        again = sent
        for _ in range(3):
            scripted.cut()
            again = [await scripted.expect("subscribe") for _ in asking]
            assert _payloads(again) == _payloads(sent)
        by_name = {request["payload"]["query"].split()[1].partition("(")[0]: request for request in again}
        await scripted.tell(by_name["Changed"])
        await scripted.answer(by_name["Set"], setUser={"user": user("a", "A"), "created": True, "changed": True})
        await scripted.answer(by_name["Create"], createUserIfNotExists={"user": user("a", "A"), "created": False})
        await asyncio.gather(*asking)


def _payloads(messages: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(message["payload"]) for message in messages)


@pytest.mark.behaviour(36)
async def test_a_request_without_an_answer_runs_out_of_time(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, timeout=0.1) as session:
        for ask in (session.user("a").get(), session.app()):
            with pytest.raises(ConnectionTimeout) as caught:
                await ask
            assert not isinstance(caught.value, Disconnected)
        await scripted.expect_watch("a")
        request = await scripted.expect("subscribe", "app")
        assert (await scripted.expect("complete"))["id"] == request["id"], "the gateway need not go on"
        await scripted.answer(request, app=None)  # too late


@pytest.mark.behaviour(36)
async def test_a_request_without_a_connection_says_why() -> None:
    async with session_with(NOWHERE, timeout=0.2, backoff=SOON) as session:
        with pytest.raises(Disconnected, match=r"(?i)connect call failed|refused"):
            await session.user("a").set(name="A")


@pytest.mark.behaviour(36)
async def test_a_request_that_nobody_waits_for_any_more_is_ended(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        writing = asyncio.create_task(session.user("a").set(name="A"))
        request = await scripted.expect("subscribe", "setUser")
        writing.cancel()
        assert (await scripted.expect("complete"))["id"] == request["id"]


@pytest.mark.behaviour(21, 39)
async def test_closing_ends_everything(gateway: RunningGateway) -> None:
    before = asyncio.all_tasks()
    sockets = gateway.metric("userline_sockets")
    session = Session(gateway.websocket_url)
    active = session.user(new_id()).subscribe()
    await active.connected
    pending = session.user(new_id()).subscribe()
    asking = [
        asyncio.create_task(session.user(new_id()).get()),
        asyncio.create_task(session.user(new_id()).set(name="A")),
        asyncio.ensure_future(pending.connected),
    ]
    iterating = asyncio.ensure_future(anext(aiter(pending)))
    await asyncio.sleep(0)
    await asyncio.gather(session.close(), session.close())
    assert await active.terminated == await pending.terminated == Unsubscribed()
    for outcome in await asyncio.gather(*asking, return_exceptions=True):
        assert isinstance(outcome, SessionClosed)
    with pytest.raises(StopAsyncIteration):
        await iterating
    with pytest.raises(SessionClosed):
        await session.user("x").get()
    with pytest.raises(SessionClosed):
        session.user("x").subscribe()
    with pytest.raises(SessionClosed):
        session.set_token("x")
    assert asyncio.all_tasks() == before
    await until(lambda: gateway.metric("userline_sockets") == sockets)


@pytest.mark.behaviour(39)
@pytest.mark.parametrize("turns", range(12))
async def test_closing_at_any_moment_leaves_nothing_behind(gateway: RunningGateway, turns: int) -> None:
    async with session_with(gateway) as session:
        subscription = session.user(new_id()).subscribe()
        getting = asyncio.create_task(session.user(new_id()).get())
        for _ in range(turns * 3):
            await asyncio.sleep(0.001)
    assert await subscription.terminated == Unsubscribed()
    outcome = (await asyncio.gather(getting, return_exceptions=True))[0]
    assert outcome is None or isinstance(outcome, SessionClosed)
    del subscription, getting, outcome
    gc.collect()


@pytest.mark.behaviour(45)
@pytest.mark.parametrize("code", [1008, 1009, 4400, 4401, 4406, 4409, 4429])
async def test_a_mistake_of_the_client_ends_everything(scripted: ScriptedGateway, code: int) -> None:
    errors: list[UserlineError] = []
    async with session_with(scripted.url, on_error=errors.append) as session:
        subscription = session.user("a").subscribe()
        await scripted.tell(await scripted.expect_watch())
        await subscription.connected
        getting = asyncio.create_task(session.user("b").get())
        await scripted.expect_watch()
        await scripted.close(code, "What is wrong")
        with pytest.raises(ProtocolError, match="What is wrong") as caught:
            await getting
        assert caught.value.close_code == code
        assert await subscription.terminated == Failed(errors[0])
        assert errors == [caught.value]
        assert scripted.sockets == 1


@pytest.mark.behaviour(45)
@pytest.mark.parametrize("code", [1000, 1001, 1002, 1007, 1011, 1012, 1013, 4408, 4430, 4431, 4999])
async def test_all_other_close_codes_are_answered_by_coming_back(scripted: ScriptedGateway, code: int) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        subscription = session.user("a").subscribe()
        await scripted.tell(await scripted.expect_watch())
        await subscription.connected
        await scripted.close(code)
        await scripted.tell(await scripted.expect_watch(), user("a", "Ann"))
        await until(lambda: subscription.latest_snapshot is not None)


@pytest.mark.behaviour(34)
async def test_a_gateway_that_is_being_stopped_says_when_to_come_back(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, backoff=Backoff(base=60, ceiling=60)) as session:
        session.user("a").subscribe()
        await scripted.expect("subscribe")
        closed = time.monotonic()
        await scripted.close(1012, "The gateway is being stopped; retry after 0.3 s")
        await scripted.expect("subscribe")
        assert 0.25 < time.monotonic() - closed < 20


@pytest.mark.behaviour(45)
async def test_a_certificate_that_is_not_trusted_is_an_error_at_once(tmp_path: Path) -> None:
    errors: list[UserlineError] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(make_certificate(tmp_path))
    async with scripted_gateway(context) as secure:
        assert secure.url.startswith("wss://")
        async with session_with(secure.url, on_error=errors.append) as session:
            with pytest.raises(ProtocolError, match="certificate is not trusted"):
                await session.user("a").get()
            assert len(errors) == 1


@pytest.mark.behaviour(45)
@pytest.mark.parametrize("status", [HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN])
async def test_a_url_without_a_gateway_is_an_error_at_once(status: HTTPStatus) -> None:
    errors: list[UserlineError] = []
    async with serve(
        lambda _: asyncio.sleep(0), "127.0.0.1", 0, process_request=lambda s, _: s.respond(status, "")
    ) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"
        async with session_with(url, on_error=errors.append) as session:
            with pytest.raises(ProtocolError, match=str(int(status))):
                await session.user("a").get()
    assert len(errors) == 1


@pytest.mark.behaviour(45)
async def test_a_gateway_that_is_full_is_asked_again() -> None:
    asked = 0

    def refuse(socket: Any, _: Any) -> Any:
        nonlocal asked
        asked += 1
        return socket.respond([HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS][asked % 2], "")

    async with serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0, process_request=refuse) as server:
        url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/"
        async with session_with(url, timeout=0.3, backoff=SOON) as session:
            with pytest.raises(Disconnected, match="HTTP status"):
                await session.user("a").get()
    assert asked > 3


@pytest.mark.behaviour(45)
@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", '{"type":1}', "[" * 5000])
async def test_a_gateway_that_talks_nonsense_is_an_error(scripted: ScriptedGateway, text: str) -> None:
    async with session_with(scripted.url, on_error=lambda _: None) as session:
        getting = asyncio.create_task(session.user("a").get())
        await scripted.expect_watch()
        await scripted.say_raw(text)
        with pytest.raises(ProtocolError):
            await getting


@pytest.mark.behaviour(45)
@pytest.mark.parametrize(
    "payload",
    [
        *(None, {}, [], {"data": None}, {"data": {}}, {"data": {"usersChanged": {}}}, {"data": [], "errors": []}),
        *({"data": {"usersChanged": [told]}} for told in (None, {}, {"id": "a"}, {"id": "a", "user": {}})),
        {"data": {"usersChanged": []}, "errors": [{"message": "?"}]},
    ],
)
async def test_an_answer_that_is_none_is_an_error_of_that_request(scripted: ScriptedGateway, payload: Any) -> None:
    async with session_with(scripted.url) as session:
        getting = asyncio.create_task(session.user("a").get())
        request = await scripted.expect_watch()
        await scripted.say("next", id=request["id"], payload=payload)
        with pytest.raises(UserlineError):
            await getting
        subscription = session.user("b").subscribe()
        while (watch := await scripted.expect_any())["type"] != "subscribe":
            pass
        await scripted.tell(watch)
        await subscription.connected


@pytest.mark.behaviour(42)
async def test_pings_are_answered(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url) as session:
        session.user("a").subscribe()
        await scripted.expect("subscribe")
        await scripted.say("ping")
        await scripted.expect("pong")


@pytest.mark.parametrize("url", ["http://127.0.0.1/graphql", "127.0.0.1:8000", "", "ws://", "ws:///graphql"])
def test_a_url_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidInput):
        Session(url)


async def test_an_error_handler_that_raises_breaks_nothing(
    scripted: ScriptedGateway, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(error: UserlineError) -> None:
        raise RuntimeError(f"of the application: {error}")

    scripted.refusal = (4403, "Forbidden: No.")
    async with session_with(scripted.url, token="x", on_error=fail) as session:
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                await session.user("a").get()
    assert "of the application: No." in caplog.text


@pytest.mark.behaviour(40)
async def test_sessions_of_the_same_url_and_user_are_the_same_if_asked_for(scripted: ScriptedGateway) -> None:
    token = token_of("ann")
    first = Session.shared(scripted.url, token=token)
    others = [
        Session.shared(scripted.url, user_id="ann"),
        Session.shared(scripted.url, token=token_of("ann", n=2)),
    ]
    assert all(other is first for other in others)
    bob, nobody = Session.shared(scripted.url, user_id="bob"), Session.shared(scripted.url)
    assert len({id(session) for session in (first, bob, nobody, Session(scripted.url, token=token))}) == 4
    with pytest.raises(InvalidInput):
        first.set_token(token_of("bob"))
    with pytest.raises(InvalidInput):
        Session.shared(scripted.url, user_id="bob", token=token)
    first.user("x").subscribe()
    await scripted.expect_watch("x")
    assert scripted.payloads == [{"Authorization": f"Bearer {token_of('ann', n=2)}"}], "the last token counts"
    for session in (others[0], first):
        await session.close()
        session.user("y").subscribe()
    await others[1].close()
    with pytest.raises(SessionClosed):
        first.user("z").subscribe()
    again = Session.shared(scripted.url, user_id="ann")
    assert again is not first
    await asyncio.gather(again.close(), bob.close(), nobody.close())


@pytest.mark.behaviour(40)
async def test_a_shared_session_is_that_of_its_event_loop() -> None:
    def elsewhere() -> Session:
        async def ask() -> Session:
            session = Session.shared(NOWHERE)
            await session.close()
            return session

        return asyncio.run(ask())

    async with Session.shared(NOWHERE) as here:
        assert await asyncio.to_thread(elsewhere) is not here
        async with Session.shared(NOWHERE) as same:
            assert same is here
        here.user("a").subscribe()
    with pytest.raises(SessionClosed):
        here.user("a").subscribe()


@pytest.mark.behaviour(39)
async def test_closing_with_many_sockets_and_operations_leaves_nothing(scripted: ScriptedGateway) -> None:
    scripted.limits = {"watchedUsers": 10}
    async with session_with(scripted.url) as session:
        subscriptions = [session.user(str(number)).subscribe() for number in range(35)]
        subscriptions += [session.user("a").subscribe()]
        for number in range(4):
            await scripted.expect_watch()
            if number == 1:
                await scripted.refuse(await _first(scripted, session), "RATE_LIMITED", retryAfterSeconds=60)
    for subscription in subscriptions:
        assert await subscription.terminated == Unsubscribed()


async def _first(scripted: ScriptedGateway, session: Session) -> dict[str, Any]:
    session.user("one more").subscribe()
    return await scripted.expect_watch()


@pytest.mark.behaviour(34)
@pytest.mark.parametrize("code", [1001, 1012, 1013, 4430, 4503])
async def test_any_code_of_those_may_say_when_to_come_back(scripted: ScriptedGateway, code: int) -> None:
    async with session_with(scripted.url, backoff=Backoff(base=60, ceiling=60)) as session:
        session.user("a").subscribe()
        await scripted.expect_watch("a")
        await scripted.close(code, "Not now; retry after 0.05 s")
        await scripted.expect_watch("a")


@pytest.mark.behaviour(35)
async def test_what_comes_back_is_one_operation_however_it_was_begun(scripted: ScriptedGateway) -> None:
    async with session_with(scripted.url, backoff=SOON) as session:
        for number in range(20):
            subscription = session.user(f"user {number}").subscribe()
            await scripted.tell(await scripted.expect_watch(f"user {number}"))
            await subscription.connected
        scripted.cut()
        watch = await scripted.expect_watch()
        assert len(watch["payload"]["variables"]["ids"]) == 20
        await asyncio.sleep(0.02)
        assert scripted.is_silent
