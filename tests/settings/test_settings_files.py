"""Secrets and URLs that come from files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from userline.cli.main import userline
from userline.settings.problems import SettingsError
from userline.settings.settings import load_settings
from userline.settings.table import to_json, to_text

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")

LONG = [
    "a first secret of more than 32 bytes",
    "a second secret of more than 32 bytes",
    "a third, of more than 32 bytes",
]
SETTINGS = {"secret": LONG[0], "store_url": "mongodb://me:hidden@db/users", "bus_url": "redis://me:hidden@redis:6379"}


def problems(**flags: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    return list(caught.value.problems)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_file_has_what_a_variable_has(name: str, end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "value"
    file.write_bytes((SETTINGS[name] + end).encode())
    monkeypatch.setenv(f"USERLINE_{name.upper()}_FILE", str(file))
    found = load_settings({})
    monkeypatch.delenv(f"USERLINE_{name.upper()}_FILE")
    monkeypatch.setenv(f"USERLINE_{name.upper()}", SETTINGS[name])
    assert getattr(found, name) == getattr(load_settings({}), name)
    assert found.secrets == load_settings({}).secrets
    assert json.loads(to_json(found))[name]["source"] == "file"
    assert "hidden" not in to_text(found) + to_json(found)
    assert LONG[0] not in to_text(found) + to_json(found)


@pytest.mark.parametrize("name", [*SETTINGS, "second_secret"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "The file cannot be read: No such file or directory."),
        ("directory", "The file cannot be read: Is a directory."),
        (b"", "The file is empty."),
        (b"\n\r\n  \n", "The file is empty."),
        (b"\xef\xbb\xbf\n", "The file is empty."),
        (b"\xff\xfe", "The file is not UTF-8."),
        (b"x" * 70_000, "The file is larger than 65536 bytes."),
    ],
)
def test_a_file_that_cannot_be_used_is_told(
    name: str, content: bytes | str | None, sentence: str, tmp_path: Path
) -> None:
    file = tmp_path / "value"
    if content == "directory":
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    given = {"secret_file" if name == "second_secret" else "second_secret": None, f"{name}_file": str(file)}
    variable = f"USERLINE_{name.upper()}_FILE"
    assert problems(**{key: value for key, value in given.items() if value}) == [
        f"{variable} is {str(file)!r} (flag --{name.replace('_', '-')}-file). {sentence}"
    ]


def test_a_file_is_never_read_without_end() -> None:
    (problem,) = problems(secret_file="/dev/zero")
    assert problem.endswith("The file is larger than 65536 bytes.")


@pytest.mark.parametrize("name", ["store_url", "bus_url"])
def test_a_url_is_one_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text(f"{SETTINGS[name]}\n{SETTINGS[name]}\n")
    (problem,) = problems(**{f"{name}_file": str(file)})
    assert problem.endswith("The file must have one line, not 2.")


def test_too_many_secrets(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("".join(f"{number} {LONG[0]}\n" for number in range(11)))
    (problem,) = problems(secret_file=str(file))
    assert problem.endswith("The file must have at most 10 lines, not 11.")


@pytest.mark.parametrize("name", [*SETTINGS, "second_secret"])
def test_a_value_and_its_file_contradict_each_other(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "value"
    value = SETTINGS.get(name, LONG[1])
    file.write_text(value)
    more = {"secret": LONG[0]} if name == "second_secret" else {}
    monkeypatch.setenv(f"USERLINE_{name.upper()}", value)
    (problem,) = problems(**{f"{name}_file": str(file)}, **more)
    assert problem.endswith(
        f"USERLINE_{name.upper()} (environment) is set too: unset one of them, because only one may be set."
    )


def test_a_bad_url_of_a_file_is_told_without_it(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("postgres//me:hidden@db")
    (problem,) = problems(store_url_file=str(file))
    assert problem.startswith("USERLINE_STORE_URL is '***' (file of USERLINE_STORE_URL_FILE). ")
    assert "hidden" not in problem


def test_a_secret_of_a_file_closes_the_gateway(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text(LONG[0])
    settings = load_settings({"secret_file": str(file), "host": "0.0.0.0"})  # noqa: S104 - nothing is bound
    assert not settings.is_open
    assert settings.rate_limit_per_second > 0
    (problem,) = problems(secret_file=str(tmp_path / "missing"), host="0.0.0.0", env="production")  # noqa: S104 - as above
    assert "cannot be read" in problem, "nothing is said of an open gateway, which is not what is meant"


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0"), min_size=1, max_size=60).filter(
            lambda text: bool(text.strip()) and not text.startswith("\ufeff")
        ),
        min_size=1,
        max_size=10,
    ),
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=200, deadline=None)
def test_any_secrets_of_a_file(tmp_path_factory: pytest.TempPathFactory, secrets: list[str], between: str) -> None:
    file = tmp_path_factory.getbasetemp() / "secrets"
    file.write_bytes((between.join(secrets) + between).encode())
    refused: tuple[str, ...] = ()
    found: tuple[bytes, ...] = ()
    try:
        found = load_settings({"secret_file": str(file)}).secrets
    except SettingsError as error:
        refused = error.problems
    if refused:
        assert all("it is a key of another kind" in problem for problem in refused)
    else:
        assert found == tuple(dict.fromkeys(secret.encode() for secret in secrets))


def test_the_32_bytes_of_production_hold_for_each_secret(tmp_path: Path) -> None:
    file, second = tmp_path / "first", tmp_path / "second"
    file.write_text(f"{LONG[0]}\nshort\n{LONG[1]}\n{'ab' * 20}\n")
    second.write_text("shorter")
    found = problems(env="production", secret_file=str(file), second_secret_file=str(second))
    starts = [
        "USERLINE_SECRET is set (file), but of its secret in line 2: it has 5 bytes, but in production it needs 32.",
        "USERLINE_SECRET is set (file), but of its secret in line 4: it can be guessed: it repeats a few characters.",
        "USERLINE_SECOND_SECRET is set (file), but it has 7 bytes, but in production it needs 32.",
    ]
    assert found == [f"{start} Create one with: openssl rand -base64 48" for start in starts]
    (problem,) = problems(env="production", secret=LONG[0], second_secret="short")
    assert problem.startswith("USERLINE_SECOND_SECRET is set (flag), but it has 5 bytes")


def test_a_second_secret_needs_a_first() -> None:
    for more in ({}, {"jwks_url": "https://login.example.com/keys"}):
        found = problems(second_secret=LONG[1], **more)
        assert found[0] == (
            "USERLINE_SECOND_SECRET is '***' (flag --second-secret). There is no first one: set USERLINE_SECRET, or "
            "USERLINE_SECRET_FILE."
        )


def test_the_first_secret_signs(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"{LONG[0]}\n{LONG[1]}\n")
    env = {"USERLINE_SECRET_FILE": str(file), "USERLINE_SECOND_SECRET": LONG[2]}
    done = CliRunner().invoke(userline, ["token", "--app"], env=env)
    assert jwt.decode(done.stdout.strip(), LONG[0], algorithms=["HS256"])["tokenType"] == "app"
