"""Requests that wait for one user: they get what the ordinary way gives them, within the time limit."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from userline.execution.pending import Lookup
from userline.execution.plans.one_user import OneUserQuery
from userline.execution.request import GraphQLRequest
from userline.gateway.answering.known import ReadBody
from userline.gateway.answering.meaning import Meaning
from userline.gateway.runtime import Runtime
from userline.resolvers import queries
from userline.settings.settings import load_settings
from userline.users.errors import StoreUnavailable
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from userline.execution.pending import Pending
    from userline.execution.plans.plan import Bound
    from userline.users.record import UserSnapshot

QUERY = "query Read($id: ID!) { app { id } person: user(id: $id) { id name } }"
HEAD = Meaning(is_understood=True, request_id="the request")


class Asker:
    """Asks for users whose reads end when and as the test says."""

    def __init__(self, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runtime = runtime
        self.reads: list[asyncio.Future[UserSnapshot | None]] = []
        runtime.engine.prepare(GraphQLRequest(QUERY, None, {"id": "a"}), runtime.answering.context("", OPEN_VIEWER))
        monkeypatch.setattr(queries, "load_user", lambda _, __: self._read())

    def _read(self) -> asyncio.Future[UserSnapshot | None]:
        self.reads.append(asyncio.get_running_loop().create_future())
        return self.reads[-1]

    def ask(self, user_id: str = "nobody") -> Pending:
        answering, body = self.runtime.answering, self._body(user_id)
        begun = answering.begin(HEAD, OPEN_VIEWER, body, ("127.0.0.1", 1), answering.known_body(body))
        assert begun is not None
        assert not isinstance(begun, ReadBody)
        assert not isinstance(begun[1], bytes)
        assert isinstance(begun[1], Lookup)
        return begun[1]

    def ordinary(self) -> asyncio.Task[bytes]:
        """Return the response that is made without a lookup."""
        bound: Bound = self.runtime.answering._bodies._queries[self._body("nobody")].bound
        context = self.runtime.answering.context("the request", OPEN_VIEWER)

        async def respond() -> bytes:
            steps, arguments = bound
            begun = steps.begin(arguments, context.users)
            if isinstance(begun, bytes):
                return begun
            assert isinstance(steps, OneUserQuery)
            return await super(OneUserQuery, steps).finish(begun, arguments, context, self.runtime.answering.time_limit)

        return asyncio.ensure_future(respond())

    def counted(self) -> dict[str, int]:
        return {code: count for (name, code), count in self.runtime.metrics.requests.items() if name == "Read"}

    @staticmethod
    def _body(user_id: str) -> bytes:
        return orjson.dumps({"query": QUERY, "variables": {"id": user_id}})


@asynccontextmanager
async def asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[Asker]:
    runtime = Runtime(load_settings({"store_url": f"sqlite:///{tmp_path}/users.db", "access_log": False, **settings}))
    async with runtime.running():
        yield Asker(runtime, monkeypatch)


def told_of(*lookups: Pending) -> list[tuple[Pending, Any]]:
    """Return a list to which every answer is added."""
    told: list[tuple[Pending, Any]] = []
    for lookup in lookups:
        lookup.then(partial(_tell, told, lookup))
    return told


def _tell(told: list[tuple[Pending, Any]], lookup: Pending, response: bytes | None) -> None:
    assert response is not None
    told.append((lookup, orjson.loads(response)))


async def test_the_user_who_was_read_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(tmp_path, monkeypatch) as asker:
        first, second = asker.ask(), asker.ask()
        told = told_of(first, second)
        asker.reads[1].set_result(None)
        await asyncio.sleep(0)
        asker.reads[0].set_result(None)
        await asyncio.sleep(0)
        expected = {"data": {"app": {"id": "userline"}, "person": None}}
        assert told == [(second, expected), (first, expected)]
        assert asker.counted() == {"OK": 2}


@pytest.mark.parametrize("error", [StoreUnavailable(), ValueError("secret")])
@pytest.mark.parametrize("awaited", [False, True])
async def test_a_failed_read_is_told_as_the_ordinary_way_tells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, awaited: bool
) -> None:
    async with asking(tmp_path, monkeypatch) as asker:
        lookup = asker.ask()
        ordinary = asker.ordinary()
        waiting = asyncio.ensure_future(_response_of(lookup) if awaited else _told_by(lookup))
        await asyncio.sleep(0)
        for read in asker.reads:
            read.set_exception(error)
        response = await waiting
        assert response == await ordinary
        (told,) = orjson.loads(response)["errors"]
        assert told["path"] == ["person"]
        assert "secret" not in told["message"]
        assert asker.counted() == {told["extensions"]["code"]: 1}


async def _response_of(lookup: Pending) -> bytes:
    return await lookup


async def _told_by(lookup: Pending) -> bytes:
    told: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
    lookup.then(told.set_result)
    response = await told
    assert response is not None
    return response


async def test_who_waits_too_long_is_told_so_and_the_read_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking(tmp_path, monkeypatch, operation_seconds=0.2) as asker:
        early, quick = asker.ask(), asker.ask()
        told = told_of(early, quick)
        asker.reads[1].set_result(None)
        await asyncio.sleep(0.1)
        late = asker.ask()
        told_late = told_of(late)
        assert [lookup for lookup, _ in told] == [quick]
        await asyncio.sleep(0.15)
        assert [lookup for lookup, _ in told] == [quick, early]
        assert told[1][1]["errors"][0]["extensions"] == {"code": "STORE_UNAVAILABLE", "retryAfterSeconds": 1}
        assert "longer than 0.2 s" in told[1][1]["errors"][0]["message"]
        assert (asker.reads[0].cancelled(), asker.reads[2].done()) == (True, False)
        asker.reads[2].set_result(None)
        await asyncio.sleep(0.1)
        assert told_late == [(late, told[0][1])]
        assert asker.counted() == {"OK": 2, "STORE_UNAVAILABLE": 1}
        again = asker.ask()
        assert "longer than" in orjson.loads(await again)["errors"][0]["message"]


async def test_a_read_that_somebody_gives_up_is_an_answer_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(tmp_path, monkeypatch) as asker:
        told = told_of(asker.ask())
        asker.reads[0].cancel()
        await asyncio.sleep(0)
        ((_, response),) = told
        assert response["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"


async def test_the_answer_is_sent_even_if_it_cannot_be_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(tmp_path, monkeypatch) as asker:
        failures: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
        told = told_of(asker.ask())
        monkeypatch.setattr("userline.telemetry.metrics.histogram.Histogram.add", None)
        asker.reads[0].set_result(None)
        await asyncio.sleep(0)
        assert len(told) == len(failures) == 1
        monkeypatch.undo()
