"""What the settings refuse to start with: an open gateway where nobody meant one, and a bad file of roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from userline.settings.problems import SettingsError
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("no_settings")


def problems(**flags: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LOCALHOST", "localhost.", "127.0.0.1,::1", "unix:/run/u.sock"],
)
def test_loopback_may_be_open(host: str) -> None:
    assert load_settings({"host": host}).host == host


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "::",
        "10.0.0.1",
        "example.com",
        "localhost.example.com",
        "::ffff:8.8.8.8",
        "127.0.0.1,::",
        "unix:/run/u.sock,0.0.0.0",
    ],
)
def test_other_addresses_may_be_open_only_if_told_to(host: str) -> None:
    (problem,) = problems(host=host)
    assert problem.startswith(f"USERLINE_HOST is '{host}' (flag --host). Everybody who reaches that address")
    assert "USERLINE_ALLOW_OPEN=true" in problem
    assert load_settings({"host": host, "allow_open": True}).host == host


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("mongodb://alice:p@ss/w@db/users", "'mongodb://alice:***@db/users'"),
        (
            "mongodb://db/?tlsCertificateKeyFilePassword=hush&w=1",
            "'mongodb://db/?tlsCertificateKeyFilePassword=***&w=1'",
        ),
    ],
)
def test_passwords_in_urls_are_hidden(url: str, text: str) -> None:
    (problem,) = problems(store_url=url)
    assert problem.startswith(f"USERLINE_STORE_URL is {text} (flag --store-url). ")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("redis://u:p@ss/w@bus:6379?nothing=1", "redis://u:***@bus:6379?nothing=1"),
        (
            "redis+sentinel://u:hush@a,b/m?sentinel_password=hush&nothing=1",
            "redis+sentinel://u:***@a,b/m?sentinel_password=***&nothing=1",
        ),
        ("redis+cluster://u:hush@a,b/5", "redis+cluster://u:***@a,b/5"),
        ("postgres://u:hu@sh@h/d", "postgres://u:***@h/d"),
        ("postgres://u:hush@h/d?sslpassword=hush2&sslmode=no", "postgres://u:***@h/d?sslpassword=***&sslmode=no"),
        ("postgres:///d?host=/run&user=u&password=hush&port=no", "postgres:///d?host=/run&user=u&password=***&port=no"),
    ],
)
def test_passwords_in_urls_of_buses_are_hidden(url: str, text: str) -> None:
    (problem,) = problems(bus_url=url)
    assert problem.startswith(f"USERLINE_BUS_URL is '{text}' (flag --bus-url). ")
    assert "hush" not in problem


@pytest.mark.parametrize(
    "url",
    ["redis://h", "rediss://h", "redis+sentinel://h/m", "redis+cluster://h", "postgres://h/d", "postgresql://u:p@h/d"],
)
def test_several_workers_may_share_any_bus_that_can_be_shared(url: str) -> None:
    assert load_settings({"bus_url": url, "workers": 2}).workers == 2
    (problem,) = problems(bus_url="memory://", workers=2)
    assert "a shared bus" in problem


def test_the_port_that_kubernetes_sets_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERLINE_PORT", "tcp://10.0.0.1:8000")
    (problem,) = problems()
    assert problem == (
        "USERLINE_PORT is 'tcp://10.0.0.1:8000' (environment). Kubernetes sets this variable for a service named "
        "userline. Set enableServiceLinks: false in the pod's spec, give the service another name, or pass --port."
    )
    assert load_settings({"port": "8000"}).port == 8000


class TestRoles:
    @staticmethod
    def refused(tmp_path: Path, text: str | bytes) -> list[str]:
        path = tmp_path / "roles.json"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        start = f"USERLINE_ROLES is '{path}' (flag --roles). "
        found = problems(roles=str(path))
        assert all(problem.startswith(start) for problem in found)
        return [problem.removeprefix(start) for problem in found]

    def test_a_file_of_roles(self, tmp_path: Path) -> None:
        (tmp_path / "roles.json").write_text('{"default": {}, "agent 👩": {"canExport": true, "n": [1, null]}}')
        settings = load_settings({"roles": "roles.json"})
        assert settings.app_roles == {"default": {}, "agent 👩": {"canExport": True, "n": [1, None]}}
        assert settings.rules.roles == frozenset({"default", "agent 👩"})

    def test_no_file(self, tmp_path: Path) -> None:
        path = str(tmp_path / "absent.json")
        assert problems(roles=path) == [
            f"USERLINE_ROLES is '{path}' (flag --roles). The file cannot be read: No such file or directory."
        ]

    def test_a_folder(self, tmp_path: Path) -> None:
        (problem,) = problems(roles=str(tmp_path))
        assert problem.endswith("The file cannot be read: Is a directory.")

    @pytest.mark.parametrize("text", ["", "{", b"\xff", '{"default": NaN}'])
    def test_no_json(self, tmp_path: Path, text: str | bytes) -> None:
        (problem,) = self.refused(tmp_path, text)
        assert problem.startswith("The file is not JSON: ")

    @pytest.mark.parametrize("text", ["[]", "null", '"default"'])
    def test_no_object(self, tmp_path: Path, text: str) -> None:
        (problem,) = self.refused(tmp_path, text)
        assert problem.startswith("The file must have an object of roles, such as ")

    def test_a_role_twice(self, tmp_path: Path) -> None:
        text = '{"default": {}, "agent": {"a": 1}, "agent": {"a": 2}}'
        assert self.refused(tmp_path, text) == ['The file has the name "agent" more than once.']

    def test_everything_wrong_with_it(self, tmp_path: Path) -> None:
        text = '{"agent": true, " ": {}, "%s": {}}' % ("r" * 256)
        assert self.refused(tmp_path, text) == [
            'The file must have a role named "default", which is the role of users who have no other.',
            "The settings of the role 'agent' must be an object.",
            "The role name ' ' must not be blank or longer than 255 characters.",
            f"The role name '{'r' * 40}' must not be blank or longer than 255 characters.",
        ]
