"""What the API looks like: the Strawberry types, inputs, scalars and roots, and the exported ``schema.graphql``."""
