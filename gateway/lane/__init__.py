"""The fast lane: planned operations are answered where their request has been parsed, without an ASGI application."""
