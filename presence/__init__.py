"""Presence: which users are connected, at this gateway and at the others."""
