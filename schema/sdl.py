"""The schema itself, and its text form: ``schema/schema.graphql`` is what :func:`print_schema` returns."""

from functools import cache

import strawberry
from strawberry.schema.config import StrawberryConfig

from userline.schema.roots import Mutation, Query, Subscription
from userline.schema.scalars import SCALARS


@cache
def make_schema() -> strawberry.Schema:
    """Return the schema, made once."""
    return strawberry.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS),
    )


def print_schema() -> str:
    """Return the schema in the GraphQL schema definition language, ending in a newline."""
    return make_schema().as_str() + "\n"
