"""Public keys at a JWKS URL: which are taken, when they are fetched, and what happens when they cannot be."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.clients.wire import TRANSPORT, Wire
from tests.support.gateway import RunningGateway
from tests.support.tokens import APP, SECRET, KeyServer, Signer, bad_tokens, base64url, claims_of, raw_token
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from userline.gateway.auth import key_set
from userline.gateway.auth.authenticator import Authenticator
from userline.gateway.auth.key_set import KeySet, read_key_set
from userline.gateway.auth.tokens import Terms
from userline.gateway.websocket.protocol import CloseCode
from userline.users.errors import StoreUnavailable, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def authenticator_of(server: KeyServer, **more: Any) -> Authenticator:
    return Authenticator(Terms.of(APP), KeySet(server.url, **more))


async def refused(authenticator: Authenticator, token: str) -> bool:
    try:
        await authenticator.viewer(token)
    except Unauthenticated:
        return True
    return False


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_each_algorithm(algorithm: str) -> None:
    signer = Signer.new(algorithm, "key/with+signs=")
    server = KeyServer(signer)
    try:
        authenticator = authenticator_of(server)
        assert (await authenticator.viewer(signer.sign(claims_of("alice")))).user_id == "alice"
        assert (await authenticator.viewer(signer.sign(claims_of("bob"), kid=...))).user_id == "bob", "the only key"
        assert server.requests == 1
    finally:
        server.stop()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_the_key_is_not_taken_for_another_kind(algorithm: str) -> None:
    signer = Signer.new(algorithm, "first")
    server = KeyServer(signer)
    sound = claims_of("alice")
    kid = {"kid": "first"}
    try:
        authenticator = authenticator_of(server, pause=0.0)
        for secret in (signer.public_pem, json.dumps(signer.jwk).encode(), server.answer, b""):
            for name in ("HS256", algorithm, "none"):
                assert await refused(authenticator, raw_token({"alg": name} | kid, sound, secret))
        for other in ("RS256", "ES256", "EdDSA"):
            if other != algorithm:
                assert await refused(authenticator, Signer.new(other, "first").sign(sound))
        places: list[dict[str, Any]] = [{"jku": server.url}, {"x5u": server.url}, {"x5c": []}]
        for header in ({"jwk": Signer.new("RS256", "m").jwk}, *places):
            assert await refused(authenticator, signer.sign(sound, **header))
        for strange in (server.url, "../keys", "/dev/null", "a\0", "", "x" * 2000):
            assert await refused(authenticator, signer.sign(sound, kid=strange))
        for name, token in bad_tokens().items():
            assert await refused(authenticator, token), name
        assert await refused(authenticator, jwt.encode(sound, SECRET, algorithm="HS256"))
        assert await refused(authenticator, signer.sign(sound | {"exp": 1}))
        assert not await refused(authenticator, signer.sign(sound))
    finally:
        server.stop()


def test_which_keys_are_taken() -> None:
    good = {name: Signer.new(name, f"good {name}") for name in ("RS256", "ES256", "EdDSA")}
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is left out
    algorithm: Any = jwt.get_algorithm_by_name("RS256")
    rsa_jwk = good["RS256"].jwk
    keys = [
        *(signer.jwk for signer in good.values()),
        {"kty": "oct", "k": base64url(SECRET), "kid": "symmetric", "alg": "HS256"},
        algorithm.to_jwk(weak.public_key(), as_dict=True) | {"kid": "weak"},
        rsa_jwk | {"kid": "for encryption", "use": "enc"},
        rsa_jwk | {"kid": "another algorithm", "alg": "RS512"},
        rsa_jwk | {"kid": "no operation", "key_ops": ["encrypt"]},
        rsa_jwk | {"kid": "operations null", "key_ops": None},
        rsa_jwk | {"kid": "private", "d": "AQAB"},
        rsa_jwk | {"kid": "bad number", "n": 5},
        {"kty": "EC", "crv": "P-521", "kid": "curve"},
        {"kty": ["RSA"], "kid": "list"},
        {"kid": "nothing"},
        "text",
        None,
    ]
    found = read_key_set(json.dumps({"keys": keys}).encode())
    assert set(found.by_name) == {(name, f"good {name}") for name in good} | {(name, None) for name in good}


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"null", b"{}", b'{"keys": {}}', b'{"keys": null}', b"<html>"])
def test_what_is_no_key_set(document: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the texts are orjson's too
        read_key_set(document)


async def test_rotation(key_server: KeyServer, signer: Signer) -> None:
    authenticator = authenticator_of(key_server, pause=0.2)
    old = signer.sign(claims_of("alice"))
    await authenticator.viewer(old)
    second = Signer.new("ES256", "second")
    key_server.show(signer, second)
    await asyncio.sleep(0.25)
    new = second.sign(claims_of("bob"))
    assert (await authenticator.viewer(new)).user_id == "bob"
    assert key_server.requests == 2
    assert not await refused(authenticator, old)

    key_server.show(second)
    await asyncio.sleep(0.25)
    assert await refused(authenticator, Signer.new("ES256", "third").sign(claims_of("alice")))
    assert await refused(authenticator, old), "its key is gone, so it is no longer remembered"
    assert not await refused(authenticator, new)


async def test_unknown_keys_cause_few_fetches(key_server: KeyServer) -> None:
    authenticator = authenticator_of(key_server, pause=0.5)
    strangers = [Signer.new("ES256", f"stranger {number}").sign(claims_of("alice")) for number in range(50)]
    for token in strangers:
        assert await refused(authenticator, token)
    assert key_server.requests == 1
    await asyncio.sleep(0.55)
    assert all(await asyncio.gather(*(refused(authenticator, token) for token in strangers)))
    assert key_server.requests == 2


async def test_all_who_wait_wait_for_one_fetch(key_server: KeyServer, signer: Signer) -> None:
    key_server.delay = 0.2
    authenticator = authenticator_of(key_server)
    tokens = [signer.sign(claims_of(f"user {number}")) for number in range(50)]
    viewers = await asyncio.gather(*(authenticator.viewer(token) for token in tokens))
    assert [viewer.user_id for viewer in viewers] == [f"user {number}" for number in range(50)]
    assert key_server.requests == 1


async def test_who_goes_away_does_not_end_the_fetch_of_the_others(key_server: KeyServer, signer: Signer) -> None:
    key_server.delay = 0.2
    authenticator = authenticator_of(key_server)
    first = asyncio.create_task(authenticator.viewer(signer.sign(claims_of("a"))))
    second = asyncio.create_task(authenticator.viewer(signer.sign(claims_of("b"))))
    await asyncio.sleep(0.05)
    first.cancel()
    assert (await second).user_id == "b"
    assert key_server.requests == 1


async def test_keys_are_fetched_again_and_again_meanwhile_they_serve(key_server: KeyServer, signer: Signer) -> None:
    authenticator = authenticator_of(key_server, seconds=0.2)
    authenticator.start()
    await authenticator.viewer(signer.sign(claims_of("a")))
    assert key_server.requests == 1
    key_server.delay = 0.3
    await asyncio.sleep(0.25)
    started = time.monotonic()
    await authenticator.viewer(signer.sign(claims_of("b")))
    assert time.monotonic() - started < 0.2
    await asyncio.sleep(0.8)
    assert key_server.requests >= 3
    await authenticator.close()
    fetched = key_server.requests
    await asyncio.sleep(0.5)
    assert key_server.requests == fetched, "closed is closed"


@pytest.mark.parametrize("trouble", ["status", "no JSON", "large", "gone"])
async def test_keys_stay_while_they_cannot_be_fetched(
    key_server: KeyServer, signer: Signer, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "userline")
    authenticator = authenticator_of(key_server, pause=0.0, seconds=0.1)
    authenticator.start()
    await authenticator.viewer(signer.sign(claims_of("a")))
    if trouble == "status":
        key_server.status = 500
    elif trouble == "no JSON":
        key_server.answer = b"<html>"
    elif trouble == "large":
        key_server.answer = b'{"keys": [' + b" " * 300_000 + b"]}"
    else:
        key_server.stop()
    for number in range(5):
        assert not await refused(authenticator, signer.sign(claims_of("b", n=number)))
        await asyncio.sleep(0.05)
    with pytest.raises(StoreUnavailable):
        await authenticator.viewer(Signer.new("ES256", "new").sign(claims_of("c")))
    assert "that were fetched before stay in use" in caplog.text
    await authenticator.close()


async def test_no_keys_at_all_is_no_verdict(key_server: KeyServer, signer: Signer) -> None:
    key_server.status = 503
    authenticator = authenticator_of(key_server, pause=0.1)
    with pytest.raises(StoreUnavailable):
        await authenticator.viewer(signer.sign(claims_of("a")))
    key_server.status = 200
    await asyncio.sleep(0.15)
    assert not await refused(authenticator, signer.sign(claims_of("a")))


async def test_slow_keys_hold_up_only_who_needs_them_and_not_for_long(
    key_server: KeyServer, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    authenticator = authenticator_of(key_server, pause=0.0)
    known = signer.sign(claims_of("a"))
    await authenticator.viewer(known)
    monkeypatch.setattr(key_set, "_SECONDS", 0.4)
    key_server.delay = 2.0
    stranger = asyncio.create_task(authenticator.viewer(Signer.new("ES256", "new").sign(claims_of("b"))))
    await asyncio.sleep(0.05)
    assert (await authenticator.viewer(known)).user_id == "a"
    assert (await authenticator.viewer(signer.sign(claims_of("c")))).user_id == "c"
    assert not stranger.done()
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(stranger, 3)
    await authenticator.close()


@pytest.mark.parametrize(
    "headers",
    [
        *(
            {"kid": kid}
            for kid in ("../../first", "/dev/null", "first\0", "first/", "https://mallory.example/keys", "", "FIRST")
        ),
        *({"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False, "crit": ["b64"]}),
        *({"jku": "https://mallory.example/keys"}, {"x5u": "https://mallory.example/c"}, {"x5c": ["AAAA"]}),
        {"jwk": {"kty": "oct", "k": "AAAA"}},
    ],
    ids=str,
)
async def test_headers_that_name_other_keys_or_ask_for_more(
    key_server: KeyServer, signer: Signer, headers: dict[str, Any]
) -> None:
    authenticator = authenticator_of(key_server)
    assert not await refused(authenticator, signer.sign(claims_of("alice")))
    fetched = key_server.requests
    assert await refused(authenticator, signer.sign(claims_of("alice"), **headers))
    assert key_server.requests == fetched, "nothing in a token makes the gateway ask anybody"


async def test_a_redirect_is_not_followed(key_server: KeyServer, signer: Signer) -> None:
    key_server.status = 302
    with pytest.raises(StoreUnavailable):
        await authenticator_of(key_server).viewer(signer.sign(claims_of("a")))
    assert key_server.requests == 1


@pytest.fixture
def keyed(tmp_path: Path, key_server: KeyServer) -> Iterator[RunningGateway]:
    flags = ("--jwks-url", key_server.url, "--jwks-pause-seconds", "0.2", "--bad-tokens-per-second", "0")
    running = RunningGateway(tmp_path, *flags)
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log


def status(gateway: RunningGateway, token: str) -> int:
    headers = {"authorization": f"Bearer {token}"}
    return gateway.http.post("/graphql", json={"query": "{ app { id } }"}, headers=headers).status_code


def first_close(gateway: RunningGateway, token: str) -> tuple[int, str]:
    with connect(gateway.websocket_url, subprotocols=[Subprotocol(TRANSPORT)], proxy=None) as connection:
        wire = Wire(connection)
        wire.send({"type": "connection_init", "payload": {"token": token}})
        return wire.closed()


def test_rotation_through_a_gateway(keyed: RunningGateway, key_server: KeyServer, signer: Signer) -> None:
    second = Signer.new("RS256", "second")
    claims = claims_of("alice")
    assert status(keyed, signer.sign(claims)) == 200
    assert status(keyed, second.sign(claims)) == 401
    key_server.show(second)
    time.sleep(0.25)
    assert status(keyed, second.sign(claims)) == 200
    assert status(keyed, signer.sign(claims)) == 401
    assert first_close(keyed, signer.sign(claims))[0] == CloseCode.FORBIDDEN
    key_server.status = 500
    time.sleep(0.25)
    third = Signer.new("ES256", "third").sign(claims)
    assert status(keyed, third) == 503
    assert first_close(keyed, third)[0] == CloseCode.TRY_AGAIN_LATER
    assert status(keyed, second.sign(claims)) == 200


def test_bad_tokens_through_a_gateway_with_keys(keyed: RunningGateway, signer: Signer) -> None:
    claims = claims_of("alice")
    bad = bad_tokens() | {
        "public key as secret": raw_token({"alg": "HS256", "kid": "first"}, claims, signer.public_pem),
        "JWK as secret": raw_token({"alg": "HS256", "kid": "first"}, claims, json.dumps(signer.jwk).encode()),
        "public key as secret, ES256": raw_token({"alg": "ES256", "kid": "first"}, claims, signer.public_pem),
    }
    for name, token in bad.items():
        assert status(keyed, token) == 401, name
        assert first_close(keyed, token)[0] == CloseCode.FORBIDDEN, name
    assert status(keyed, signer.sign(claims)) == 200
