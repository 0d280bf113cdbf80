"""``userline token``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import jwt
import pytest
from click.testing import CliRunner, Result
from tests.support.tokens import SECRET

from userline.cli.main import userline
from userline.gateway.auth.minting import parse_duration

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

pytestmark = pytest.mark.usefixtures("no_settings")


def run(*arguments: str, secret: str | None = SECRET) -> Result:
    environment = {} if secret is None else {"USERLINE_SECRET": secret}
    return CliRunner().invoke(userline, ["token", *arguments], env=environment)


def test_a_token_of_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USERLINE_APP_ID", "shop")
    done = run("--user", "alice/1")
    assert (done.exit_code, done.stderr) == (0, "")
    claims = jwt.decode(done.stdout.strip(), SECRET, algorithms=["HS256"])
    now = int(time.time())
    assert now + 3590 < claims.pop("exp") <= now + 3600
    assert now - 10 < claims.pop("iat") <= now
    assert claims == {"iss": "shop", "tokenType": "user", "sub": "alice/1"}


def test_a_token_of_the_app() -> None:
    claims = jwt.decode(run("--app", "--expires", "5m").stdout.strip(), SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["iat"] == 300
    assert (claims["tokenType"], claims.get("sub")) == ("app", None)


def test_it_is_let_in(guarded: RunningGateway) -> None:
    headers = {"authorization": f"Bearer {run('--user', 'alice').stdout.strip()}"}
    assert guarded.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "--user ID or --app"),
        (("--user", "a", "--app"), "--user ID or --app"),
        (("--user", ""), "id must not be empty"),
        (("--user", "x" * 256), "id "),
        (("--app", "--expires", "soon"), "such as 90s, 15m, 1h or 30d"),
    ],
)
def test_what_is_wrong_is_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert done.stdout == ""


def test_without_a_secret() -> None:
    done = run("--app", secret=None)
    assert done.exit_code == 1
    assert done.stderr == "Error: There is no secret to sign the token with: set USERLINE_SECRET.\n"


def test_durations() -> None:
    assert [parse_duration(text) for text in ("90s", "15m", "1h", "30d")] == [90, 900, 3600, 2_592_000]
    for text in ("", "0s", "-1h", "1", "h", "1.5h", "1w", "1h ", "\u0661h", "9999999999s"):
        with pytest.raises(ValueError, match="such as"):
            parse_duration(text)
