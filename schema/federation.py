"""The schema as a subgraph of Apollo Federation 2: ``User`` is an entity, known by its id.

Source: https://www.apollographql.com/docs/graphos/schema-design/federated-schemas/reference/subgraph-spec
"""

from functools import cache
from typing import Annotated, Any, NewType, cast

import strawberry
from graphql import GraphQLError, ValueNode
from strawberry.schema.config import StrawberryConfig

from userline.resolvers import queries
from userline.schema.names import Prefixed
from userline.schema.roots import Mutation, OperationInfo, Query, Subscription
from userline.schema.scalars import make_scalars
from userline.schema.sdl import print_schema
from userline.schema.types import User

_LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.4", import: ["@key"])\n\n'

Representation = NewType("Representation", object)


def _refuse_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> Any:  # noqa: ARG001 - a scalar's signature
    raise GraphQLError("Representations are given through a variable.")


_SCALARS: dict[object, Any] = {
    Representation: strawberry.scalar(
        name="_Any",
        description='Stands for an entity: `{"__typename": "User", "id": …}`.',
        serialize=lambda value: value,
        parse_value=lambda value: value,
        parse_literal=_refuse_literal,
    )
}

Entity = Annotated[User, strawberry.union("_Entity", description="What other subgraphs may refer to.")]


@strawberry.type(name="_Service", description="What a router asks of a subgraph.")
class Service:
    """The subgraph."""

    sdl: str = strawberry.field(description="The subgraph's schema.")


@strawberry.type(name="Query", description="What can be read.")
class FederatedQuery(Query):
    """The query root of a subgraph."""

    @strawberry.field(name="_service", description="The subgraph, as a router sees it.")
    def service(self, info: OperationInfo) -> Service:
        """Return the schema as text."""
        return Service(sdl=print_subgraph(cast("Prefixed", info.schema.config.name_converter).prefix))

    @strawberry.field(
        name="_entities",
        description="The entities that these representations stand for, null for the missing: one read of the "
        "store. What stands for none is null, too, with an error at its place.",
    )
    async def entities(
        self,
        info: OperationInfo,
        representations: Annotated[
            list[Representation], strawberry.argument(description="At most 1,000 representations.")
        ],
    ) -> list[Entity | None]:
        """Return the users that a router refers to."""
        return cast("list[Entity | None]", await queries.entities(info.context, representations))


@cache
def make_subgraph(prefix: str = "") -> strawberry.Schema:
    """Return the schema with what a router of Apollo Federation 2 asks for, made once.

    ``prefix`` is put before the names that other subgraphs may have, too.
    """
    return strawberry.Schema(
        query=FederatedQuery,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(name_converter=Prefixed(prefix), scalar_map=make_scalars(prefix) | _SCALARS),
    )


@cache
def print_subgraph(prefix: str = "") -> str:
    """Return the schema as other subgraphs may build upon it: ``User`` is an entity with the key ``id``."""
    return _LINK + print_schema(prefix).replace("\ntype User {\n", '\ntype User @key(fields: "id") {\n')
