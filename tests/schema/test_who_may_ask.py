"""What a user token may ask for: users whose ids it gives. Who lists users besides has to ask ``check_may_list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql import GraphQLList, GraphQLNonNull, build_schema

from userline.schema.federation import make_subgraph
from userline.schema.sdl import make_schema

if TYPE_CHECKING:
    from graphql import GraphQLSchema

IDS = {"id": "ID", "ids": "ID", "representations": "_Any"}
"""The arguments in which a caller gives the ids of users, with what is in them."""

ABOUT_NO_USER = {"app", "_service"}

LISTING: set[str] = set()
"""The fields that tell of users whose ids nobody gave, each of which calls ``check_may_list``, and has a test of it."""


def listing(schema: GraphQLSchema) -> set[str]:
    """Return the fields of the roots that take no ids of users."""
    fields: set[str] = set()
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        for name, field in root.fields.items() if root else ():
            given = {argument for argument in field.args if argument in IDS}
            for argument in given:
                of = field.args[argument].type
                while isinstance(of, GraphQLList | GraphQLNonNull):
                    of = of.of_type
                assert of.name == IDS[argument], f"{name}({argument}:) is of another type than ids are"
            if not given:
                fields.add(name)
    return fields - ABOUT_NO_USER


def test_who_asks_for_users_gives_their_ids() -> None:
    for schema in (make_schema()._schema, make_subgraph()._schema):
        found = listing(schema)
        assert found == LISTING, (
            f"{sorted(found - LISTING)} tell of users whose ids the caller has not given. Such a field calls "
            "check_may_list(viewer) of users/viewer.py, has a row in the table of SECURITY.md, and is in LISTING here."
        )


def test_a_query_that_lists_users_is_found() -> None:
    schema = build_schema(
        "type User { id: ID! } type Query { app: Int user(id: ID!): User users(ids: [ID!]!): [User] "
        "usersByRole(role: String!): [User!]! everybody: [User!]! }"
    )
    assert listing(schema) == {"usersByRole", "everybody"}
