"""Ariadne as it comes: its ASGI application, and resolvers that read a dict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from ariadne import QueryType, make_executable_schema
from ariadne.asgi import GraphQL

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo
    from starlette.types import ASGIApp

_SDL = Path(__file__).with_name("schema.graphql")


def make_app(store: str) -> ASGIApp:
    """Return the application, which can read users alone, with those of a ``memory:`` store."""
    users = {user["id"]: user for user in orjson.loads(Path(store.removeprefix("memory:")).read_bytes())}
    query = QueryType()

    @query.field("user")
    def resolve_user(_parent: None, _info: GraphQLResolveInfo[Any], id: str) -> dict[str, Any] | None:  # noqa: A002
        return users.get(id)

    @query.field("users")
    def resolve_users(_parent: None, _info: GraphQLResolveInfo[Any], ids: list[str]) -> list[dict[str, Any] | None]:
        return [users.get(user_id) for user_id in ids]

    return GraphQL(make_executable_schema(_SDL.read_text(), query))
