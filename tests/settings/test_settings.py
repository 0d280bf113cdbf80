"""The settings: where they come from, what is refused, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from userline.settings.problems import SettingsError
from userline.settings.settings import Settings, load_settings, settings_warnings
from userline.users.rules import Limits, Rules

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")


HOSTS = (
    "It must be IP addresses or host names, such as 127.0.0.1 or ::1, without a port and separated by commas, or unix: "
    "and a path."
)


def problems(**flags: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    return list(caught.value.problems)


def test_the_defaults() -> None:
    settings = load_settings()
    assert settings.model_dump() == {
        "host": "127.0.0.1",
        "port": 8000,
        "allow_open": False,
        "workers": 1,
        "worker_hang_seconds": 30,
        "env": "development",
        "shutdown_seconds": 10,
        "drain_seconds": 10,
        "graphiql": True,
        "introspection": True,
        "federation": False,
        "federation_prefix": "",
        "get_queries": True,
        "metrics_address": None,
        "trusted_proxies": None,
        "keep_alive_seconds": 75,
        "secret": None,
        "secret_file": None,
        "second_secret": None,
        "second_secret_file": None,
        "jwks_url": None,
        "jwks_seconds": 600,
        "jwks_pause_seconds": 10,
        "issuer": None,
        "audience": None,
        "client_user_syncing": "own",
        "self_deletion": False,
        "cors_origins": None,
        "cors_headers": None,
        "store_url": "sqlite:///userline.db",
        "store_url_file": None,
        "mongodb_driver": "motor",
        "sqlite_mode": "0600",
        "change_stream": False,
        "bus_url": "memory://",
        "bus_prefix": "userline",
        "bus_url_file": None,
        "cache_seconds": 30,
        "cache_users": 10_000,
        "reread_seconds": 30,
        "presence_seconds": 10,
        "app_id": "userline",
        "default_locale": "en",
        "roles": None,
        "max_record_bytes": 65_536,
        "max_custom_keys": 100,
        "max_push_tokens": 100,
        "max_emails": 20,
        "max_phones": 20,
        "max_body_bytes": 1_048_576,
        "max_answer_bytes": 8_388_608,
        "max_batch_operations": 50,
        "max_document_characters": 15_000,
        "max_document_tokens": 1000,
        "max_depth": 10,
        "max_aliases": 30,
        "max_directives": 50,
        "max_root_fields": 50,
        "max_cost": 1000,
        "max_introspection_depth": 20,
        "max_introspection_cost": 8000,
        "trusted_documents": None,
        "persisted_documents": 1000,
        "max_header_bytes": 16_384,
        "header_seconds": 10,
        "rate_limit_per_second": 0,
        "rate_limit_burst": 2000,
        "bad_tokens_per_second": 10,
        "bad_tokens_burst": 200,
        "max_sockets": 10_000,
        "max_sockets_per_user": 100,
        "max_new_sockets_per_address": 200,
        "document_cache": 1000,
        "document_cache_bytes": 33_554_432,
        "operation_seconds": 10,
        "max_message_bytes": 1_048_576,
        "max_subscriptions": 1000,
        "max_watched_users": 5000,
        "connection_init_seconds": 3,
        "ping_seconds": 25,
        "plans": True,
        "fast_lane": True,
        "log_format": "text",
        "log_level": "info",
        "access_log": True,
        "log_probes": True,
        "tracing": False,
    }
    assert set(settings.origins.of_fields.values()) == {"default"}
    assert settings_warnings(settings) == []
    assert settings.rules == Rules()
    assert settings.app_roles == {"default": {}}


def test_a_flag_beats_the_environment_which_beats_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "USERLINE_PORT=1\nUSERLINE_APP_ID=file\nUSERLINE_MAX_EMAILS=3\n# a comment\nOTHER=x\n"
    )
    monkeypatch.setenv("USERLINE_PORT", "2")
    monkeypatch.setenv("USERLINE_APP_ID", "environment")
    settings = load_settings({"port": "3"})
    assert (settings.port, settings.app_id, settings.max_emails, settings.max_phones) == (3, "environment", 3, 20)
    places = settings.origins.of_fields
    assert [places[name] for name in ("port", "app_id", "max_emails", "max_phones")] == [
        "flag",
        "environment",
        ".env file",
        "default",
    ]
    assert settings_warnings(settings) == []


def test_another_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("USERLINE_PORT=1\n")
    (tmp_path / "other").write_text("USERLINE_HOST=::1\n")
    settings = load_settings(env_file=tmp_path / "other")
    assert (settings.host, settings.port) == ("::1", 8000)


def test_an_env_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"USERLINE_APP_ID=\xff\n")
    (problem,) = problems()
    assert problem.startswith(".env cannot be read: ")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "ROLES", "SECRET", "NOT_A_SETTING"):
        monkeypatch.setenv(f"USERLINE_{name}", "")
    settings = load_settings()
    assert (settings.port, settings.roles) == (8000, None)
    assert settings_warnings(settings) == []


def test_an_empty_variable_does_not_hide_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("USERLINE_PORT=1\n")
    monkeypatch.setenv("USERLINE_PORT", "")
    settings = load_settings()
    assert (settings.port, settings.origins.of_fields["port"]) == (1, ".env file")


def test_settings_are_frozen() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]


def test_the_limits_are_those_of_the_rules() -> None:
    settings = load_settings(
        {"max_record_bytes": 1, "max_custom_keys": 2, "max_push_tokens": 3, "max_emails": 4, "max_phones": 5}
    )
    assert settings.rules == Rules(Limits(record_bytes=1, custom_keys=2, push_tokens=3, emails=4, phones=5))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("port", "x", "It must be a whole number from 0 to 65535."),
        ("port", "65536", "It must be a whole number from 0 to 65535."),
        ("port", "80.5", "It must be a whole number from 0 to 65535."),
        ("workers", "0", "It must be a whole number from 1 to 1024."),
        ("graphiql", "yess", "It must be true or false."),
        ("env", "staging", "It must be one of development, production."),
        ("log_format", "xml", "It must be one of text, json."),
        ("log_level", "INFO", "It must be one of debug, info, warning, error."),
        ("max_emails", "-1", "It must be a whole number, at least 0."),
        ("cache_seconds", "-0.5", "It must be a number, at least 0."),
        ("cache_seconds", "inf", "It must be a number, at least 0."),
        ("operation_seconds", "0", "It must be a number greater than 0."),
        ("connection_init_seconds", "nan", "It must be a number greater than 0."),
        ("host", "", HOSTS),
        ("host", "127.0.0.1,", HOSTS),
        ("host", "127.0.0.1,::1,127.0.0.1", "It names an address twice."),
        ("host", "unix:here", "A Unix socket is unix: and a path from the root, such as unix:/run/userline.sock."),
        ("host", "127.0.0.1:80", HOSTS),
        ("host", "[::1]", HOSTS),
        ("app_id", "", "It must be 1 to 255 letters, digits, hyphens, dots, underscores or tildes."),
        ("app_id", "a/b", "It must be 1 to 255 letters, digits, hyphens, dots, underscores or tildes."),
        ("app_id", "..", "It must be 1 to 255 letters, digits, hyphens, dots, underscores or tildes."),
        ("bus_prefix", "a b", "It must be 1 to 100 letters, digits and - . _ ~ : /"),
        ("bus_prefix", "live:", "It must be 1 to 100 letters, digits and - . _ ~ : /"),
        ("bus_prefix", "live*", "It must be 1 to 100 letters, digits and - . _ ~ : /"),
        ("app_id", "a" * 256, "It must be 1 to 255 letters, digits, hyphens, dots, underscores or tildes."),
        ("default_locale", "xx", "It must be an IETF language tag (BCP 47), such as en or pt-BR."),
        (
            "default_locale",
            "en_US",
            "It must be an IETF language tag with hyphens between its parts, such as en-US.",
        ),
        (
            "bus_url",
            "nats://localhost",
            "The bus is memory:// (one process), or redis://HOST:PORT or postgres://USER:PASSWORD@HOST/DATABASE (any ",
        ),
        (
            "store_url",
            "postgres://localhost",
            "The URL of the user store starts with postgres:, and only these are supported: ",
        ),
    ],
)
def test_a_bad_value_is_named_with_its_variable_its_source_and_what_to_do(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = f"USERLINE_{name.upper()}"
    (problem,) = problems(**{name: value})
    assert problem.startswith(f"{variable} is {value!r} (flag --{name.replace('_', '-')}). {sentence}")
    if value:
        monkeypatch.setenv(variable, value)
        (problem,) = problems()
        assert problem.startswith(f"{variable} is {value!r} (environment). {sentence}")


def test_all_that_is_wrong_is_reported_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("USERLINE_PORT=x\n")
    (tmp_path / "roles.json").write_text("{}")
    monkeypatch.setenv("USERLINE_HOST", "0.0.0.0")  # noqa: S104 - it is refused
    monkeypatch.setenv("USERLINE_LOG_LEVEL", "loud")
    with pytest.raises(SettingsError) as caught:
        load_settings({"workers": "2", "roles": "roles.json"})
    assert str(caught.value) == (
        "The settings are not valid:\n"
        "  - USERLINE_PORT is 'x' (.env file). It must be a whole number from 0 to 65535.\n"
        "  - USERLINE_LOG_LEVEL is 'loud' (environment). It must be one of debug, info, warning, error.\n"
        "  - USERLINE_ROLES is 'roles.json' (flag --roles). The file must have a role named \"default\", which is the "
        "role of users who have no other.\n"
        "  - USERLINE_HOST is '0.0.0.0' (environment). Everybody who reaches that address could read and write every "
        "user, because tokens are not checked. Set USERLINE_SECRET or USERLINE_JWKS_URL so that tokens are checked, or "
        "set USERLINE_HOST=127.0.0.1, or set USERLINE_ALLOW_OPEN=true to allow this.\n"
        "  - USERLINE_WORKERS is 2 (flag --workers). More than one process needs a shared bus, but the memory:// bus "
        "is for one process: set USERLINE_BUS_URL=redis://HOST:PORT or postgres://USER:PASSWORD@HOST/DATABASE, "
        "or USERLINE_WORKERS=1."
    )


def test_a_setting_that_does_not_exist_is_refused() -> None:
    assert problems(prot=8000) == ["prot is not a setting."]


def test_unknown_variables_are_warnings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("USERLINE_STOREURL=x\n")
    monkeypatch.setenv("USERLINE_PROT", "9000")
    monkeypatch.setenv("USERLINE_XYZZY", "1")
    monkeypatch.setenv("USERLINE_TEST_MONGODB_URI", "x")
    monkeypatch.setenv("USERLINES", "x")
    assert settings_warnings(load_settings()) == [
        "USERLINE_PROT (environment) is not a setting and has no effect. Did you mean USERLINE_PORT?",
        "USERLINE_STOREURL (.env file) is not a setting and has no effect. Did you mean USERLINE_STORE_URL?",
        "USERLINE_XYZZY (environment) is not a setting and has no effect.",
    ]


def test_what_kubernetes_sets_is_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["PORT_8000_TCP", "PORT_8000_TCP_ADDR", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP"]
    for name in names:
        monkeypatch.setenv(f"USERLINE_{name}", "x")
    (warning,) = settings_warnings(load_settings())
    assert warning.startswith(f"{', '.join(f'USERLINE_{name}' for name in names)}: Kubernetes sets such variables")
    assert "enableServiceLinks: false" in warning


def test_every_setting_has_a_meaning() -> None:
    for name, field in Settings.model_fields.items():
        assert (field.description or "").endswith("."), name
