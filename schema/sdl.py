"""The schema itself, and its text form: ``schema/schema.graphql`` is what :func:`print_schema` returns."""

from functools import cache

import strawberry
from strawberry.schema.config import StrawberryConfig

from userline.schema.names import Prefixed
from userline.schema.roots import Mutation, Query, Subscription
from userline.schema.scalars import make_scalars


@cache
def make_schema(prefix: str = "") -> strawberry.Schema:
    """Return the schema, made once, with a prefix before the names that do not say that they are of users."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(name_converter=Prefixed(prefix), scalar_map=make_scalars(prefix)),
    )


def print_schema(prefix: str = "") -> str:
    """Return the schema in the GraphQL schema definition language, ending in a newline."""
    return make_schema(prefix).as_str() + "\n"
