"""A stand-in for a connection that has ended."""

from __future__ import annotations


def nobody(*_: object) -> None:
    """Do nothing: to be kept in place of a method of what is to be let go of."""
