"""The servers that the gateway is measured against. ``python -m bench.peers NAME DATABASE`` runs one."""

from typing import Final

STRAWBERRY: Final = "strawberry"
BARE_UVICORN: Final = "bare-uvicorn"
