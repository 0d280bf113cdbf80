"""How userline is served: settings, command line, the ASGI app and its lifespan, and the transports."""
