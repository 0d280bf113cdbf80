"""The API without a transport: operations run on a store in memory."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from tests.support.stores import MemoryStore
from userline.changes.bus import Bus
from userline.changes.hub import Hub
from userline.directory.users import Users
from userline.execution.engine import Engine
from userline.execution.general_subscription import GeneralSubscription
from userline.execution.operation import RequestRefused
from userline.execution.plans.planned import PlannedSubscription
from userline.execution.request import parse_request
from userline.presence.presence import Presence
from userline.resolvers.context import AppInfo, Context
from userline.schema.served import served_schema
from userline.users.rules import Rules
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from userline.execution.engine import Execution, Subscription


class Api:
    """Runs operations by plans, or without them."""

    def __init__(self, *, plans: bool, time_limit: float, max_answer_bytes: int) -> None:
        self.store = MemoryStore()
        self.bus = Bus("memory://")
        self.hub = Hub()
        self.users = Users(store=self.store, hub=self.hub, bus=self.bus, rules=Rules())
        app = AppInfo("app", "en", {"default": {"a": 1}, "ädmin": {}})
        self.engine = Engine(
            served_schema(), app, time_limit=time_limit, plans=plans, max_answer_bytes=max_answer_bytes
        )
        self.context = Context(self.users, app, OPEN_VIEWER, Presence(self.bus), "request-1")

    def prepare(self, query: str, operation_name: str | None, variables: object) -> Execution | Subscription:
        request = parse_request({"query": query, "variables": variables, "operationName": operation_name})
        return self.engine.prepare(request, self.context)

    async def respond(self, query: str, variables: dict[str, Any], operation_name: str | None = None) -> bytes:
        """Return the response to a query or mutation as it is sent."""
        try:
            operation = self.prepare(query, operation_name, variables)
        except RequestRefused as refused:
            return refused.response
        assert not isinstance(operation, PlannedSubscription | GeneralSubscription)
        response = operation.begin()
        return response if isinstance(response, bytes) else await response

    async def execute(self, query: str, **variables: object) -> dict[str, Any]:
        """Return the response to a query or mutation that is not refused."""
        response: dict[str, Any] = orjson.loads(await self.respond(query, variables))
        assert "data" in response, response
        return response

    async def events(self, query: str, **variables: object) -> AsyncGenerator[Any, None]:
        """Yield the events of a subscription."""
        operation = self.prepare(query, None, variables)
        assert isinstance(operation, PlannedSubscription | GeneralSubscription)
        async with aclosing(operation.events()) as events:
            async for event in events:
                yield orjson.loads(event)

    def refusal(self, query: str, operation_name: str | None = None, **variables: object) -> list[dict[str, Any]]:
        """Return the errors of an operation that is refused."""
        with pytest.raises(RequestRefused) as caught:
            self.prepare(query, operation_name, variables)
        return caught.value.errors


@asynccontextmanager
async def running_api(*, plans: bool, time_limit: float = 0.2, max_answer_bytes: int = 8_388_608) -> AsyncIterator[Api]:
    """Start an Api, and stop it on the way out."""
    api = Api(plans=plans, time_limit=time_limit, max_answer_bytes=max_answer_bytes)
    await api.bus.start(api.hub.hear)
    try:
        yield api
    finally:
        await api.users.close()
        await api.bus.stop()
