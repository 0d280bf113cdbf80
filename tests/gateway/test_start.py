"""What the start of a gateway brings into memory: nothing of what it is not set up for."""

from __future__ import annotations

import json
import subprocess
import sys

LIBRARIES = (
    "asyncpg",
    "bson",
    "cryptography",
    "email_validator",
    "httpx",
    "jwt",
    "langcodes",
    "motor",
    "opentelemetry",
    "phonenumbers",
    "prometheus_client",
    "pymongo",
    "redis",
    "strawberry",
    "structlog",
)
STARTED = """
import json, sys
from userline.gateway.runtime import Runtime
from userline.gateway.server import make_config
from userline.settings.settings import load_settings

runtime = Runtime(load_settings(json.loads(sys.argv[1])))
make_config(runtime.settings, runtime.make_app(), runtime.drain, runtime.lane)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules} & set(json.loads(sys.argv[2])))))
"""


def brought_by(**settings: str) -> list[str]:
    """Return the libraries that are there after a gateway was put together."""
    command = [sys.executable, "-c", STARTED, json.dumps(settings), json.dumps(LIBRARIES)]
    found: list[str] = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return found


def test_a_gateway_on_its_own_brings_no_library_of_a_server() -> None:
    assert brought_by(store_url="sqlite:///users.db", bus_url="memory://") == []


def test_a_secret_brings_no_library_for_public_keys() -> None:
    secret = "a secret of more than 32 bytes altogether"
    assert brought_by(store_url="sqlite:///users.db", env="production", secret=secret) == []


def test_keys_at_a_url_bring_what_fetches_and_reads_them() -> None:
    brought = brought_by(store_url="sqlite:///users.db", jwks_url="https://login.example.com/jwks.json")
    assert brought == ["cryptography", "httpx", "jwt"]


def test_another_brings_what_it_is_set_up_for() -> None:
    brought = brought_by(store_url="mongodb://127.0.0.1/userline", bus_url="redis://127.0.0.1")
    assert {"pymongo", "redis"} < set(brought)
    assert "asyncpg" not in brought
