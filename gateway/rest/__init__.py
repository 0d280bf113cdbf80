"""The REST API for back ends: whole users, private fields included, as JSON, for server tokens alone."""
