"""The embedded store: users in one SQLite file, durable, with nothing to install."""

from userline.storage.sqlite.store import SQLiteUserStore

__all__ = ["SQLiteUserStore"]
