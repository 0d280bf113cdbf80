"""Whatever a token claims, it is taken or refused, and never an error of the gateway's."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, cast

import jwt
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.gateway import RunningGateway
from tests.support.tokens import APP, SECRET, KeyServer, Signer, base64url, claims_of, raw_token

from userline.cli.main import userline
from userline.gateway.auth.authenticator import Authenticator
from userline.gateway.auth.keys import SharedSecret
from userline.gateway.auth.tokens import LEEWAY_SECONDS, Terms, TokenRefused, viewer_of
from userline.users.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

HS: dict[str, Any] = {"alg": "HS256", "typ": "JWT"}
LOGIN = "https://login.example.com/realms/shop?a=b,c"


def numbers() -> st.SearchStrategy[str]:
    """Return numbers as JSON has them, and what looks like some."""
    digits = st.text("0123456789", min_size=1, max_size=400).map(lambda text: text.lstrip("0") or "0")
    long = st.sampled_from([1, 15, 16, 17, 308, 309, 310, 400, 4299, 4300, 4301, 5000]).map(lambda count: "9" * count)
    whole = st.one_of(digits, long)
    exponent = st.builds(lambda sign, power: f"e{sign}{power}", st.sampled_from(["", "+", "-"]), st.integers(0, 5000))
    fraction = st.one_of(st.just(""), digits.map(lambda text: f".{text}"))
    number = st.builds(
        lambda sign, integer, rest, power: f"{sign}{integer}{rest}{power}",
        *(st.sampled_from(["", "-"]), whole, fraction, st.one_of(st.just(""), exponent)),
    )
    strange = ["NaN", "Infinity", "-Infinity", "true", "false", "null", "-0", "-0.0", "1e308", "1e309", "-1e309", "{}"]
    return st.one_of(number, st.sampled_from([*strange, "[]", '""', '"1"', "1.0", "0.1", str(2**53), str(2**53 + 1)]))


def values() -> st.SearchStrategy[Any]:
    scalars = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=300), st.sampled_from([APP, "alice", ""])
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)),
        max_leaves=8,
    )


CLAIM = st.sampled_from(["iss", "aud", "sub", "tokenType", "exp", "nbf", "iat", "jti", "scope"])


@pytest.fixture(scope="module")
def authenticator() -> Authenticator:
    return Authenticator(Terms.of(APP), SharedSecret(SECRET.encode()))


async def shown(authenticator: Authenticator, token: str) -> bool:
    try:
        await authenticator.viewer(token)
    except Unauthenticated:
        return False
    return True


@given(st.sampled_from(["exp", "nbf", "iat"]), numbers())
@settings(max_examples=600, deadline=None)
async def test_any_moment(authenticator: Authenticator, name: str, text: str) -> None:
    claims = json.dumps(claims_of("alice") | {name: "HERE"}).replace('"HERE"', text)
    taken = await shown(authenticator, raw_token(HS, claims))
    try:
        value = json.loads(text)
    except ValueError:
        value = None  # too many digits
    if isinstance(value, bool) or not isinstance(value, int | float) or not -(2**53) <= value <= 2**53:
        assert not taken, text
    else:
        now = time.time()
        good = {"exp": now < value + LEEWAY_SECONDS, "nbf": now >= value - LEEWAY_SECONDS, "iat": True}[name]
        assert taken == good, text


@given(st.dictionaries(CLAIM, values(), max_size=5))
@settings(max_examples=600, deadline=None)
async def test_any_claims(authenticator: Authenticator, claims: dict[str, Any]) -> None:
    text = json.dumps(claims_of("alice") | claims)
    await shown(authenticator, raw_token(HS, text))


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "cty", "crit", "b64", "jwk", "zip"]), values(), max_size=4)
)
@settings(max_examples=300, deadline=None)
async def test_any_header(authenticator: Authenticator, header: dict[str, Any]) -> None:
    await shown(authenticator, raw_token(json.dumps(HS | header), claims_of("alice")))


@given(st.text(max_size=200), st.binary(max_size=200), st.binary(max_size=64))
@settings(max_examples=300, deadline=None)
async def test_any_text(authenticator: Authenticator, text: str, middle: bytes, end: bytes) -> None:
    assert not await shown(authenticator, text)
    start = base64url(json.dumps(HS))
    assert not await shown(authenticator, f"{start}.{base64url(middle)}.{base64url(end)}")


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "text",
    [
        "9" * 400,
        "-" + "9" * 400,
        "1e400",
        "NaN",
        "true",
        '"5"',
        "null",
        "[]",
        "1.5e308",
        "-1",
        "9" * 4301,
        "0." + "1" * 400,
    ],
    ids=lambda text: text[:12],
)
def test_strange_moments_through_the_doors(guarded: RunningGateway, name: str, text: str) -> None:
    claims = json.dumps(claims_of("alice") | {name: "HERE"}).replace('"HERE"', text)
    headers = {"authorization": f"Bearer {raw_token(HS, claims)}"}
    for answer in (
        guarded.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers),
        guarded.http.get("/v1/userline/users/alice", headers=headers),
    ):
        sound = (name, text) in {("nbf", "-1"), ("iat", "-1"), ("nbf", "0." + "1" * 400), ("iat", "0." + "1" * 400)}
        assert answer.status_code in ((200, 403, 404) if sound else (401,))


@given(
    st.lists(st.text(min_size=1, max_size=30), max_size=3),
    st.lists(st.text(min_size=1, max_size=30), max_size=3),
    st.one_of(st.text(max_size=30), values()),
    st.one_of(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=3), values()),
    st.data(),
)
@settings(max_examples=400, deadline=None)
def test_whose_tokens_are_taken(
    issuers: list[str], audiences: list[str], issuer: Any, audience: Any, data: st.DataObject
) -> None:
    """The terms against their definition, over any strings."""
    terms = Terms.of(APP, issuers, audiences)
    issuer = data.draw(st.sampled_from([*(issuers or [APP]), issuer]))
    audience = data.draw(st.sampled_from([*(audiences or [APP]), [*audiences, "x"], audience, ...]))
    claims = {"iss": issuer, "tokenType": "app"} | ({} if audience is ... else {"aud": audience})
    named = audience if isinstance(audience, list) else [audience]
    is_good = (
        isinstance(issuer, str)
        and issuer in (issuers or [APP])
        and (
            not audiences
            if audience is ...
            else any(one in (audiences or [APP]) for one in named if isinstance(one, str))
        )
    )
    try:
        viewer_of(claims, terms, key_id=b"", now=0)
        taken = True
    except TokenRefused:
        taken = False
    assert taken == is_good


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway for the tokens of two login services."""
    running = RunningGateway(
        tmp_path_factory.mktemp("strict"),
        *("--issuer", json.dumps([LOGIN, "accounts.example.com"]), "--audience", "shop-web, shop-app"),
        env={"USERLINE_SECRET": SECRET},
    )
    yield running
    assert running.stop() == 0, running.log
    assert "Traceback" not in running.log


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"iss": LOGIN, "aud": "shop-web"}, 200),
        ({"iss": LOGIN, "aud": ["x", "shop-app"]}, 200),
        ({"iss": "accounts.example.com", "aud": "shop-app"}, 200),
        ({"iss": "accounts.example.com/", "aud": "shop-app"}, 401),
        ({"iss": LOGIN.upper(), "aud": "shop-app"}, 401),
        ({"iss": APP, "aud": "shop-app"}, 401),
        ({"iss": LOGIN}, 401),
        ({"iss": LOGIN, "aud": APP}, 401),
        ({"iss": LOGIN, "aud": []}, 401),
        ({"iss": LOGIN, "aud": {"shop-web": 1}}, 401),
        ({"iss": [LOGIN], "aud": "shop-web"}, 401),
        ({"iss": ..., "aud": "shop-web"}, 401),
    ],
)
def test_login_services(strict: RunningGateway, claims: dict[str, Any], status: int) -> None:
    headers = {"authorization": f"Bearer {raw_token(HS, claims_of('alice', **claims))}"}
    answer = strict.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers)
    assert answer.status_code == status


def test_tokens_that_are_minted_pass(strict: RunningGateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    env = {
        "USERLINE_SECRET": SECRET,
        "USERLINE_ISSUER": json.dumps([LOGIN, "accounts.example.com"]),
        "USERLINE_AUDIENCE": "shop-web,shop-app",
    }
    for who in (["--user", "alice"], ["--app"]):
        done = CliRunner().invoke(userline, ["token", *who], env=env)
        assert done.exit_code == 0, done.output
        token = done.stdout.strip()
        claims = jwt.decode(token, SECRET, algorithms=["HS256"], audience="shop-web")
        assert (claims["iss"], claims["aud"]) == (LOGIN, "shop-web")
        headers = {"authorization": f"Bearer {token}"}
        assert strict.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers).status_code == 200


@pytest.mark.parametrize("of_key", ["Ed25519", "EdDSA", None])
@pytest.mark.parametrize("of_token", ["Ed25519", "EdDSA"])
async def test_ed25519_by_either_name(of_key: str | None, of_token: str) -> None:
    from userline.gateway.auth.key_set import KeySet  # noqa: PLC0415

    signer = Signer.new("EdDSA", "first")
    server = KeyServer()
    key = {name: value for name, value in (signer.jwk | {"alg": of_key}).items() if value is not None}
    server.answer = json.dumps({"keys": [key]}).encode()
    try:
        authenticator = Authenticator(Terms.of(APP), KeySet(server.url))
        jws = jwt.PyJWS()
        jws.register_algorithm("Ed25519", jwt.get_algorithm_by_name("EdDSA"))
        for headers in ({"kid": "first"}, {}):
            payload = json.dumps(claims_of("alice")).encode()
            mine, strange = (cast("Ed25519PrivateKey", one.key) for one in (signer, Signer.new("EdDSA", "first")))
            token = jws.encode(payload, mine, algorithm=of_token, headers=headers)
            assert (await authenticator.viewer(token)).user_id == "alice"
            stranger = jws.encode(payload, strange, algorithm=of_token, headers=headers)
            assert not await shown(authenticator, stranger)
        assert not await shown(authenticator, raw_token({"alg": of_token, "kid": "first"}, claims_of("alice")))
    finally:
        server.stop()


@given(values())
@settings(max_examples=300, deadline=None)
def test_any_member_of_a_key_set(member: Any) -> None:
    from userline.gateway.auth.key_set import read_key_set  # noqa: PLC0415

    good = SIGNER.jwk
    for changed in [member, *({**good, name: member} for name in good)]:
        document = json.dumps({"keys": [changed, good]}).encode()
        try:
            found = read_key_set(document)
        except ValueError:
            continue  # no JSON, such as NaN
        assert any(key.id for key in found.by_name.values())
        assert len(found.ids) <= 2


SIGNER = Signer.new("ES256", "good")
