"""The GraphQL schema: the Strawberry types, inputs, scalars and roots, and the exported ``schema.graphql``."""
