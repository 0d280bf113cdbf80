"""What is marked as reloaded is taken over by every part of a gateway: no part keeps what was set before."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Final

import pytest

from userline.gateway.reloading import take_over
from userline.gateway.runtime import Runtime
from userline.settings.field import reloads
from userline.settings.reloading import compare
from userline.settings.settings import Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES: Final[dict[str, object]] = {
    "secret": "another secret, of more than 32 bytes",
    "second_secret": "a second secret, of more than 32 bytes",
    "client_user_syncing": "off",
    "self_deletion": True,
    "cors_origins": "https://page.example.com",
    "cors_headers": "x-tenant",
    "log_level": "error",
    "access_log": False,
    "log_probes": False,
    "operation_seconds": 3.5,
    "rate_limit_per_second": 7.5,
    "bad_tokens_per_second": 8.5,
    "connection_init_seconds": 9.5,
    "max_watched_users": 1234,
}
"""Values that are not the defaults; numbers without one here are made one larger."""

FILES: Final = {"secret_file", "second_secret_file"}
BASE: Final = {"secret": "the secret before, of more than 32 bytes", "cors_origins": "https://before.example.com"}
RELOADED: Final = [name for name, field in Settings.model_fields.items() if reloads(field)]
OTHERS: Final = [name for name, field in Settings.model_fields.items() if not reloads(field)]
OTHER_SAMPLES: Final[dict[str, object]] = {
    "host": "::1", "allow_open": True, "workers": 2, "env": "production", "graphiql": False, "introspection": False,
    "federation": True, "get_queries": False, "metrics_address": "127.0.0.1:9100", "trusted_proxies": "127.0.0.1",
    "issuer": "https://login.example.com", "audience": "me", "mongodb_driver": "pymongo", "sqlite_mode": "0640",
    "bus_url": "redis://127.0.0.1:1", "bus_prefix": "other", "app_id": "other", "default_locale": "pt-BR",
    "plans": False, "fast_lane": False, "log_format": "json", "store_url": "sqlite:///other.db",
}  # fmt: skip
_LEAVES = (int, float, str, bytes, bool, types.NoneType, frozenset)
_OURS = ("userline.", "starlette.", "functools")


def sample(name: str) -> object:
    if name in FILES:
        return None
    default = Settings.model_fields[name].default
    return SAMPLES[name] if name in SAMPLES else default + 1


def graph(root: object) -> dict[str, object]:
    """Return every plain value that is reached from an object, by the way to it."""
    found: dict[str, object] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [("", root)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _LEAVES):
            found[path] = value
            continue
        if id(value) in seen or isinstance(value, type | types.ModuleType | Settings):
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            waiting += [(f"{path}[{key!r}]", member) for key, member in value.items() if isinstance(key, str | int)]
        elif isinstance(value, list | tuple):
            waiting += [(f"{path}[{number}]", member) for number, member in enumerate(value)]
        elif isinstance(value, types.MethodType):
            waiting.append((f"{path}()", value.__self__))
        elif isinstance(value, types.FunctionType):
            cells = [cell.cell_contents for cell in value.__closure__ or ()]
            waiting += [(f"{path}~{number}", member) for number, member in enumerate(cells)]
        elif isinstance(value, functools.partial):
            waiting += [(f"{path}.func", value.func), (f"{path}.args", value.args), (f"{path}.kw", value.keywords)]
        elif type(value).__module__.startswith(_OURS):
            names = {name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())}
            names |= set(getattr(value, "__dict__", {}))
            waiting += [(f"{path}.{name}", getattr(value, name)) for name in names if hasattr(value, name)]
    return found


def made(directory: Path, **values: object) -> tuple[Runtime, object]:
    runtime = Runtime(settings_of(directory, **values))
    return runtime, runtime.make_app()


def settings_of(directory: Path, **values: object) -> Settings:
    given = BASE | {"store_url": f"sqlite:///{directory}/u.db"} | values
    return load_settings({name: value for name, value in given.items() if value is not None})


@pytest.mark.parametrize("name", RELOADED)
def test_every_part_goes_by_the_new_value(name: str, tmp_path: Path) -> None:
    more: dict[str, object] = {name: sample(name)}
    if name in FILES:
        file = tmp_path / "secrets"
        file.write_text("one secret of more than 32 bytes in a file\nanother of more than 32 bytes in a file\n")
        more = {name: str(file)} | ({"secret": None} if name == "secret_file" else {})
    expected, same = (graph(made(tmp_path, **more)) for _ in range(2))
    runtime, app = made(tmp_path)
    new, left = compare(runtime.settings, settings_of(tmp_path, **more))
    assert not left
    assert name in new.names
    before = graph((runtime, app))
    take_over(runtime, new)
    taken = graph((runtime, app))
    volatile = {path for path in expected.keys() | same.keys() if expected.get(path) != same.get(path)}
    different = {
        path: (taken[path], expected[path])
        for path in (taken.keys() & expected.keys()) - volatile
        if taken[path] != expected[path] and not path.endswith("live._key_ids")  # set when keys change
    }
    assert not different
    settings = [
        name for name in Settings.model_fields if getattr(runtime.settings, name) != getattr(new.settings, name)
    ]
    assert not settings
    if name not in {"log_level", "access_log", "log_probes"}:
        assert len(before) > 200, "the parts are looked at"


def test_a_part_that_keeps_an_old_value_would_be_found(tmp_path: Path) -> None:
    """The comparison sees a limit that is kept by a part."""
    runtime, app = made(tmp_path)
    before = graph((runtime, app))
    runtime.unidentified.limit(99_999)
    after = graph((runtime, app))
    assert [path for path in after if after[path] != before.get(path)]


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_setting_needs_a_restart(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    more = dict(extra_for(name, tmp_path))
    now = load_settings(BASE | ({"bus_url": "redis://127.0.0.1:2"} if name == "workers" else {}))
    if name == "workers":
        more["bus_url"] = "redis://127.0.0.1:2"
    newer = load_settings(BASE | more)
    new, left = compare(now, newer)
    assert name not in new.names
    assert any(f"USERLINE_{name.upper()} is " in sentence and "needs a restart" in sentence for sentence in left), left


def extra_for(name: str, directory: Path) -> dict[str, object]:
    """Return values that are valid together, and not the ones before."""
    (directory / "roles.json").write_text('{"default": {}}')
    (directory / "store_url_file").write_text("sqlite:///other.db")
    (directory / "bus_url_file").write_text("redis://127.0.0.1:1")
    special: dict[str, dict[str, object]] = {
        "roles": {"roles": "roles.json"},
        "federation_prefix": {"federation": True, "federation_prefix": "Shop"},
        "trusted_documents": {"trusted_documents": str(directory)},
        "store_url_file": {"store_url_file": str(directory / "store_url_file")},
        "bus_url_file": {"bus_url_file": str(directory / "bus_url_file")},
        "jwks_url": {"jwks_url": "https://login.example.com/keys", "secret": None},
        "change_stream": {"change_stream": True, "store_url": "mongodb://127.0.0.1/users"},
        "tracing": {"tracing": True},
    }
    if name in special:
        return special[name]
    default = Settings.model_fields[name].default
    return {name: OTHER_SAMPLES.get(name, default + 1 if isinstance(default, int | float) and default else 1)}
