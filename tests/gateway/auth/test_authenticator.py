"""Who a token stands for, and which tokens stand for nobody, without a transport."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import statistics
import time

import jwt
import pytest
from tests.support.tokens import APP, SECRET, bad_tokens, base64url, claims_of, raw_token, token_of

from userline.gateway.auth.authenticator import Authenticator
from userline.gateway.auth.keys import SharedSecret
from userline.gateway.auth.tokens import Terms
from userline.users.errors import Unauthenticated
from userline.users.viewer import OPEN_VIEWER, Viewer, ViewerKind

BAD = bad_tokens()


@pytest.fixture
def authenticator() -> Authenticator:
    return Authenticator(Terms.of(APP), SharedSecret(SECRET.encode()))


async def test_a_gateway_without_keys_is_open() -> None:
    authenticator = Authenticator(Terms.of(APP), None)
    assert authenticator.is_open
    assert await authenticator.viewer(None) is OPEN_VIEWER
    assert await authenticator.viewer("garbage") is OPEN_VIEWER


async def test_good_tokens(authenticator: Authenticator) -> None:
    now = int(time.time())
    good = {
        token_of("alice", exp=now + 60): Viewer(ViewerKind.USER, "alice", now + 60.0),
        token_of("a/b.$👩", exp=now + 60.5): Viewer(ViewerKind.USER, "a/b.$👩", now + 60.5),
        token_of("alice", exp=...): Viewer(ViewerKind.USER, "alice", None),
        token_of("alice", exp=now - 20, nbf=now + 20): Viewer(ViewerKind.USER, "alice", now - 20.0),
        token_of("alice", exp=..., iat=now + 1000, aud=["x", APP], jti="1"): Viewer(ViewerKind.USER, "alice", None),
        token_of(None, exp=now + 60): Viewer(ViewerKind.APP, None, now + 60.0),
        token_of(None, exp=now + 60, sub="somebody"): Viewer(ViewerKind.APP, None, now + 60.0),
        raw_token({"alg": "HS256", "kid": "2026-11"}, claims_of(None, exp=now + 60)): Viewer(
            ViewerKind.APP, None, now + 60.0
        ),
    }
    for token, viewer in good.items():
        assert await authenticator.viewer(token) == viewer


@pytest.mark.parametrize("name", BAD)
async def test_bad_tokens(authenticator: Authenticator, name: str, caplog: pytest.LogCaptureFixture) -> None:
    token = BAD[name]
    caplog.set_level(logging.DEBUG)
    for _ in range(2):
        with pytest.raises(Unauthenticated) as caught:
            await authenticator.viewer(token)
        assert str(caught.value) in (
            "The token is not valid.",
            "The token has expired.",
            "The token is not valid yet.",
        )
    assert len(caplog.messages) == 2
    assert all(message.startswith("A token was refused: ") for message in caplog.messages)
    if len(token) > 10:
        assert token not in caplog.text
        assert not any(len(part) > 10 and part in caplog.text for part in token.split("."))


async def test_only_who_has_the_key_is_told_why(authenticator: Authenticator) -> None:
    stranger = raw_token({"alg": "HS256"}, claims_of("alice", exp=1), b"x" * 32)
    for token, sentence in (
        (token_of("alice", exp=1), "The token has expired."),
        (stranger, "The token is not valid."),
    ):
        with pytest.raises(Unauthenticated, match=sentence):
            await authenticator.viewer(token)


async def test_no_token(authenticator: Authenticator) -> None:
    with pytest.raises(Unauthenticated, match="A token is required"):
        await authenticator.viewer(None)


async def test_a_token_is_checked_once_and_not_past_its_time(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of("alice", exp=int(time.time()) + 60)
    first = await authenticator.viewer(token)
    with monkeypatch.context() as later:
        later.setattr(authenticator, "_check", None)
        assert await authenticator.viewer(token) is first
    late = time.time() + 60 + 29
    monkeypatch.setattr(time, "time", lambda: late)
    assert await authenticator.viewer(token) is first
    monkeypatch.setattr(time, "time", lambda: late + 2)
    for _ in range(2):
        with pytest.raises(Unauthenticated, match=r"The token has expired\."):
            await authenticator.viewer(token)


async def test_the_memory_of_tokens_is_bounded() -> None:
    authenticator = Authenticator(Terms.of(APP), SharedSecret(SECRET.encode()), capacity=3)
    tokens = [token_of(f"user {number}") for number in range(5)]
    for token in tokens:
        await authenticator.viewer(token)
    assert len(authenticator._viewers) == 3
    for token in BAD.values():
        with pytest.raises(Unauthenticated):
            await authenticator.viewer(token)
    assert len(authenticator._viewers) == 3


async def test_refusals_are_cheap(authenticator: Authenticator) -> None:
    token = bad_tokens()["wrong key"]
    started = time.perf_counter()
    for _ in range(500):
        with pytest.raises(Unauthenticated):
            await authenticator.viewer(token)
    assert time.perf_counter() - started < 2.5, "5 ms each are far more than it should take"


async def test_the_time_does_not_tell_how_much_of_a_signature_is_right(authenticator: Authenticator) -> None:
    header, payload, signature = token_of("alice").split(".")
    right = base64.urlsafe_b64decode(signature + "=")
    # The first byte that is wrong is the first, one in the middle, or the last.
    wrong = [right[:place] + bytes([right[place] ^ 1]) + right[place + 1 :] for place in (0, 16, 31)]
    tokens = [f"{header}.{payload}.{base64url(one)}" for one in wrong]
    taken: list[list[float]] = [[], [], []]
    for _ in range(1500):
        for token, times in zip(tokens, taken, strict=True):
            started = time.perf_counter()
            with pytest.raises(Unauthenticated):
                await authenticator.viewer(token)
            times.append(time.perf_counter() - started)
    medians = [statistics.median(times) for times in taken]
    if os.environ.get("USERLINE_TEST_REPORT") == "1":
        print(f"TIMES {[f'{median * 1e6:.2f} µs' for median in medians]}")
    assert max(medians) < 1.1 * min(medians)


async def test_many_at_once(authenticator: Authenticator) -> None:
    token = token_of("alice")
    viewers = await asyncio.gather(*(authenticator.viewer(token) for _ in range(100)))
    assert {viewer.user_id for viewer in viewers} == {"alice"}


def test_a_jwk_is_no_secret() -> None:
    jwk = json.dumps({"kty": "oct", "k": base64url(SECRET)})
    with pytest.raises(ValueError, match="key of another kind"):
        SharedSecret(SECRET.encode(), jwk.encode())


def test_the_helper_makes_what_others_make() -> None:
    claims = claims_of("alice")
    assert jwt.decode(raw_token({"alg": "HS256"}, claims), SECRET, algorithms=["HS256"], issuer=APP) == claims
