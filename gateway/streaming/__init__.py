"""Subscriptions over plain HTTP, for clients that cannot hold a socket: server-sent events and multipart responses."""
