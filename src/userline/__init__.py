"""userline: a GraphQL gateway for user profiles.

The rooms of the program (``gateway``, ``execution``, ``schema``, ``resolvers``, ``storage``, ``changes``, ``users``)
stand at the top of the repository; this folder holds links that put them under one import name.
``docs/architecture.md`` says what lives where.
"""

__version__ = "0.2.0"
