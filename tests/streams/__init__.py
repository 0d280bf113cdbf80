"""Streams of bytes that no sane client writes, as long and as fast as the gateway takes them."""
