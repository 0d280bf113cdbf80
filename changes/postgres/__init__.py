"""PostgreSQL as a bus: LISTEN and NOTIFY in one database, with nothing stored (docs/adr/0018)."""

from userline.changes.postgres.backend import PostgresBackend
from userline.changes.postgres.url import check_postgres_url

__all__ = ["PostgresBackend", "check_postgres_url"]
