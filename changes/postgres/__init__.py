"""PostgreSQL as a bus: LISTEN and NOTIFY in one database, with nothing stored (docs/adr/0018)."""
