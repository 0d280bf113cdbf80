"""Exports users from a store into a file of JSON Lines, and imports such a file into a store."""
