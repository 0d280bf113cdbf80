"""Clients that others wrote, in their own languages, against a real gateway: ``make test-clients`` runs them."""
