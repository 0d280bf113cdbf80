"""How userline is served: the ASGI app and its lifespan, the transports, tokens, limits, GraphiQL and health."""
