"""What the settings about tokens and browsers refuse to start with, and what production changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from userline.settings.problems import SettingsError
from userline.settings.settings import load_settings, settings_warnings
from userline.settings.table import to_json, to_text
from userline.users.viewer import ClientUserSyncing

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")

SECRET = "correct horse battery staple, and more"
JWKS = "https://login.example.com/keys"
HINT = "Create one with: openssl rand -base64 48"


def problems(**flags: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    return list(caught.value.problems)


@pytest.mark.parametrize("keys", [{"secret": SECRET}, {"jwks_url": JWKS}])
def test_with_tokens_any_address_will_do(keys: dict[str, str]) -> None:
    for env in ("development", "production"):
        settings = load_settings({"host": "0.0.0.0", "env": env, **keys})  # noqa: S104 - nothing is bound
        assert not settings.is_open


def test_production_changes_defaults_only() -> None:
    settings = load_settings({"env": "production", "secret": SECRET})
    assert (settings.graphiql, settings.introspection) == (False, False)
    settings = load_settings({"env": "production", "secret": SECRET, "graphiql": "true", "introspection": True})
    assert (settings.graphiql, settings.introspection) == (True, True)


def test_production_is_never_open() -> None:
    (problem,) = problems(env="production")
    assert problem == (
        "USERLINE_ENV is 'production' (flag --env). In production tokens must be checked: set USERLINE_SECRET (the "
        "app's secret, such as the output of: openssl rand -base64 48) or USERLINE_JWKS_URL."
    )
    (problem,) = problems(env="production", secret=SECRET, allow_open=True)
    assert problem == (
        "USERLINE_ALLOW_OPEN is true (flag --allow-open). In production tokens must be checked: unset it, or set "
        "USERLINE_ENV=development."
    )


@pytest.mark.parametrize("env", ["development", "production"])
def test_a_secret_and_keys_contradict_each_other(env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERLINE_SECRET", SECRET)
    (problem,) = problems(env=env, jwks_url=JWKS)
    assert problem == (
        "USERLINE_SECRET (environment) and USERLINE_JWKS_URL (flag) are both set. Tokens are checked with one or the "
        "other: unset one of them."
    )


def test_a_weak_secret_is_refused_in_production() -> None:
    for secret in ("hush", "x" * 31, "é" * 15):
        size = len(secret.encode())
        (problem,) = problems(env="production", secret=secret)
        assert problem == (
            f"USERLINE_SECRET is set (flag), but it has {size} bytes, but in production it needs 32. {HINT}"
        )
        warning = f"Whoever guesses the secret can read and write every user. {problem}"
        assert settings_warnings(load_settings({"secret": secret})) == [warning]
    assert problems(env="production", secret="abc" * 20) == [
        f"USERLINE_SECRET is set (flag), but it can be guessed: it repeats a few characters. {HINT}"
    ]


def test_every_weak_secret_is_told_of_in_development(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"{SECRET}\nx\n")
    settings = load_settings({"secret_file": str(file), "second_secret": "abc" * 20})
    first, second = settings_warnings(settings)
    assert "USERLINE_SECRET is set (file), but of its secret in line 2: it has 1 byte, but in production" in first
    assert "USERLINE_SECOND_SECRET is set (flag), but it can be guessed" in second
    assert settings_warnings(load_settings({"secret": SECRET})) == []


@pytest.mark.parametrize(
    "secret",
    [
        '{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}',
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7",
    ],
)
def test_a_key_of_another_kind_is_no_secret(secret: str) -> None:
    (problem,) = problems(secret=secret)
    assert problem.startswith("USERLINE_SECRET is set (flag), but it is a key of another kind (PEM, SSH or JWK).")


@pytest.mark.parametrize("url", ["http://login.example.com/keys", "http://10.0.0.1/keys"])
def test_production_fetches_keys_in_private(url: str) -> None:
    (problem,) = problems(env="production", jwks_url=url)
    assert problem.startswith(
        f"USERLINE_JWKS_URL is '{url}' (flag --jwks-url). In production it must start with https:"
    )
    assert load_settings({"jwks_url": url}).jwks_url == url
    assert load_settings({"env": "production", "jwks_url": "http://127.0.0.1:9/keys"}).env == "production"


@pytest.mark.parametrize(
    "url", ["", "login.example.com/keys", "file:///etc/passwd", "https://", "https://a b/", "ftp://a/"]
)
def test_what_is_no_url_of_keys(url: str) -> None:
    (problem,) = problems(jwks_url=url)
    assert "It must be an http or https URL, such as " in problem


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        ("https://app.example.com", ("https://app.example.com",)),
        (
            "HTTPS://App.Example.com:443 , http://b:80,http://c:8080",
            ("https://app.example.com", "http://b", "http://c:8080"),
        ),
        ("http://[::1]:3000", ("http://[::1]:3000",)),
    ],
)
def test_origins(value: str, origins: tuple[str, ...]) -> None:
    assert load_settings({"cors_origins": value}).origins_allowed == origins
    assert load_settings().origins_allowed == ()


@pytest.mark.parametrize(
    "value",
    ["*", "app.example.com", "https://a/", "https://a/b", "https://a,", "https://*.a", "https://u@a", "ws://a"],
)
def test_what_is_no_origin(value: str) -> None:
    (problem,) = problems(cors_origins=value)
    assert "It must be origins, separated by commas, such as https://app.example.com" in problem


def test_proxies() -> None:
    assert load_settings({"trusted_proxies": "10.0.0.5 , 192.168.0.0/16,::1"}).trusted_proxies == (
        "10.0.0.5,192.168.0.0/16,::1"
    )
    for value in ("*", "proxy", "10.0.0.0/33", "10.0.0.1,"):
        (problem,) = problems(trusted_proxies=value)
        assert "It must be IP addresses or networks" in problem


def test_what_clients_may_write() -> None:
    for value in ClientUserSyncing:
        assert load_settings({"client_user_syncing": value.value}).syncing is value
    assert load_settings().syncing is ClientUserSyncing.OWN
    (problem,) = problems(client_user_syncing="all")
    assert (
        problem
        == "USERLINE_CLIENT_USER_SYNCING is 'all' (flag --client-user-syncing). It must be one of off, own, any."
    )


def test_the_secret_is_hidden_everywhere() -> None:
    settings = load_settings({"secret": SECRET})
    for text in (to_text(settings), to_json(settings), repr(settings), str(settings), str(settings.model_dump())):
        assert SECRET not in text
    assert "***" in to_text(settings)
    for problem in problems(secret=5, port="x") + problems(secret="hush-hush", env="production", jwks_url=JWKS):
        assert "hush-hush" not in problem
