"""Tokens, good and bad in every way, and a server of keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

SECRET = "a secret of more than 32 bytes, for tests alone"
APP = "userline"


def claims_of(user_id: str | None, **more: Any) -> dict[str, Any]:
    """Return sound claims, of the app if there is no user id. A claim given as ``...`` is left out."""
    who = {"tokenType": "app"} if user_id is None else {"tokenType": "user", "sub": user_id}
    claims = {"iss": APP, "exp": int(time.time()) + 3600, **who, **more}
    return {name: value for name, value in claims.items() if value is not ...}


def token_of(user_id: str | None, **more: Any) -> str:
    """Return a good token, signed with ``SECRET``."""
    return jwt.encode(claims_of(user_id, **more), SECRET, algorithm="HS256")


def base64url(data: bytes | str) -> str:
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def raw_token(header: str | dict[str, Any], payload: str | dict[str, Any], secret: bytes = SECRET.encode()) -> str:
    """Return a token of these very texts, signed with HMAC-SHA256 whatever the header says."""
    texts = [part if isinstance(part, str) else json.dumps(part) for part in (header, payload)]
    signed = ".".join(base64url(text) for text in texts)
    return f"{signed}.{base64url(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


@dataclass
class Signer:
    """A private key with an id."""

    algorithm: str
    key_id: str
    key: PrivateKeyTypes = field(repr=False)

    @classmethod
    def new(cls, algorithm: str, key_id: str) -> Signer:
        makers: dict[str, Any] = {
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate,
        }
        return cls(algorithm, key_id, makers[algorithm]())

    @property
    def public_pem(self) -> bytes:
        pem: bytes = self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem

    @property
    def jwk(self) -> dict[str, Any]:
        algorithm: Any = jwt.get_algorithm_by_name(self.algorithm)
        public: dict[str, Any] = algorithm.to_jwk(self.key.public_key(), as_dict=True)
        return public | {"kid": self.key_id, "use": "sig", "alg": self.algorithm}

    def sign(self, claims: dict[str, Any], **headers: Any) -> str:
        kept = {name: value for name, value in ({"kid": self.key_id} | headers).items() if value is not ...}
        return jwt.encode(claims, self.key, algorithm=self.algorithm, headers=kept)  # type: ignore[arg-type]


def bad_tokens(user_id: str = "alice") -> dict[str, str]:
    """Return tokens that a gateway with ``SECRET`` must refuse, by what is wrong with them."""
    good = token_of(user_id)
    sound = claims_of(user_id)
    text = json.dumps(sound)
    header, payload, signature = good.split(".")
    now = int(time.time())
    signer = Signer.new("RS256", "mallory")
    hs = {"alg": "HS256", "typ": "JWT"}
    named_none = {name: f"{base64url(json.dumps({'alg': name}))}.{payload}" for name in ("none", "None", "NONE", "")}
    bad = {
        "alg none, no signature": f"{named_none['none']}.",
        **{f"alg {name!r}": f"{start}.{signature}" for name, start in named_none.items()},
        "alg HS512": jwt.encode(sound, SECRET * 2, algorithm="HS512"),
        "alg in lower case": raw_token({"alg": "hs256"}, sound),
        "alg a list": raw_token({"alg": ["HS256"]}, sound),
        "no alg": raw_token({"typ": "JWT"}, sound),
        "alg RS256 with the HMAC": raw_token({"alg": "RS256"}, sound),
        "RS256 by a stranger": signer.sign(sound),
        "ES256 by a stranger": Signer.new("ES256", "m").sign(sound),
        "signed with a public key": raw_token(hs, sound, signer.public_pem),
        "signed with a JWK": raw_token(hs, sound, json.dumps(signer.jwk).encode()),
        "signed with nothing": raw_token(hs, sound, b""),
        "wrong key": raw_token(hs, sound, b"another secret of more than 32 bytes altogether"),
        "changed claims": f"{header}.{base64url(json.dumps(sound | {'sub': 'bob'}))}.{signature}",
        "changed signature": good[:-8] + ("AAAAAAAA" if not good.endswith("AAAAAAAA") else "BBBBBBBB"),
        "cut signature": good[:-4],
        "expired": token_of(user_id, exp=now - 60),
        "expired long ago": token_of(user_id, exp=1),
        "exp negative": token_of(user_id, exp=-1),
        "not yet valid": token_of(user_id, exp=now + 90_000, nbf=now + 86_400),
        "wrong iss": token_of(user_id, iss="another"),
        "iss in another case": token_of(user_id, iss=APP.upper()),
        "iss a list": raw_token(hs, sound | {"iss": [APP]}),
        "no iss": token_of(user_id, iss=...),
        "another aud": token_of(user_id, aud="another"),
        "no sub": token_of(user_id, sub=...),
        "sub empty": token_of(user_id, sub=""),
        "sub null": raw_token(hs, sound | {"sub": None}),
        "sub a number": raw_token(hs, sound | {"sub": 5}),
        "sub an object": raw_token(hs, sound | {"sub": {"id": user_id}}),
        "sub with NUL": token_of(user_id, sub="a\0b"),
        "sub too long": token_of(user_id, sub="a" * 256),
        "sub a lone surrogate": raw_token(hs, text.replace(f'"{user_id}"', '"\\ud800"')),
        "no tokenType": token_of(user_id, tokenType=...),
        "tokenType admin": token_of(user_id, tokenType="admin"),
        "tokenType a list": token_of(user_id, tokenType=["app"]),
        "exp NaN": raw_token(hs, text[:-1] + ', "nbf": NaN}'),
        "exp Infinity": raw_token(hs, json.dumps(sound | {"exp": float("inf")})),
        "exp 1e999": raw_token(hs, text.replace(str(sound["exp"]), "1e999")),
        "exp of 5,000 digits": raw_token(hs, text.replace(str(sound["exp"]), "1" * 5000)),
        "exp a string": raw_token(hs, sound | {"exp": str(now + 3600)}),
        "exp true": raw_token(hs, sound | {"exp": True}),
        "exp null": raw_token(hs, sound | {"exp": None}),
        "exp out of range": raw_token(hs, sound | {"exp": 10**300}),
        "nbf a string": raw_token(hs, sound | {"nbf": "0"}),
        "iat an object": raw_token(hs, sound | {"iat": {}}),
        "kid a path": raw_token(hs | {"kid": "../../../../dev/null"}, sound),
        "kid a path, signed with nothing": raw_token(hs | {"kid": "/dev/null"}, sound, b""),
        "kid a URL": raw_token(hs | {"kid": "https://mallory.example/key"}, sound),
        "kid with NUL": raw_token(hs | {"kid": "a\0"}, sound),
        "kid SQL": raw_token(hs | {"kid": "x' UNION SELECT 'secret"}, sound),
        "kid empty": raw_token(hs | {"kid": ""}, sound),
        "kid a number": raw_token(hs | {"kid": 1}, sound),
        "unknown crit": raw_token(hs | {"crit": ["exp"], "exp": 1}, sound),
        "crit empty": raw_token(hs | {"crit": []}, sound),
        "b64 false": raw_token(hs | {"b64": False, "crit": ["b64"]}, sound),
        "embedded jwk": signer.sign(sound, jwk=signer.jwk),
        "embedded jwk, HMAC": raw_token(hs | {"jwk": {"kty": "oct", "k": base64url(SECRET)}}, sound),
        "jku": raw_token(hs | {"jku": "https://mallory.example/keys"}, sound),
        "x5u": raw_token(hs | {"x5u": "https://mallory.example/certificate"}, sound),
        "x5c": raw_token(hs | {"x5c": ["AAAA"]}, sound),
        "a name twice in the header": raw_token('{"alg": "none", "alg": "HS256"}', sound),
        "a name twice in the claims": raw_token(hs, '{"sub": "bob", ' + text[1:]),
        "claims a list": raw_token(hs, "[]"),
        "claims null": raw_token(hs, "null"),
        "claims no JSON": raw_token(hs, "{"),
        "claims deep": raw_token(hs, "[" * 4000),
        "claims in UTF-16": f"{header}.{base64url(text.encode('utf-16'))}.{signature}",
        "header a list": raw_token("[]", sound),
        "too large": token_of(user_id, padding="x" * 7000),
        "padding": good + "==",
        "a newline inside": good[:20] + "%0A" + good[20:],
        "garbage": "garbage",
        "null": "null",
        "undefined": "undefined",
        "dots": "..",
        "a dot": ".",
        "four dots": "....",
        "four parts": good + ".AAAA",
        "two parts": f"{header}.{payload}",
        "five parts, as encrypted": "a.b.c.d.e",
        "no header": f".{payload}.{signature}",
    }
    assert len(bad["too large"]) > 8192
    return bad


class KeyServer:
    """Serves a JWKS over HTTP on the loopback address. ``answer`` is what it says; ``requests`` counts."""

    def __init__(self, *signers: Signer) -> None:
        self.requests = 0
        self.delay = 0.0
        self.status = 200
        self.answer = b""
        self.show(*signers)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                time.sleep(outer.delay)
                self.send_response(outer.status)
                self.send_header("content-length", str(len(outer.answer)))
                self.end_headers()
                self.wfile.write(outer.answer)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def show(self, *signers: Signer) -> None:
        self.answer = json.dumps({"keys": [signer.jwk for signer in signers]}).encode()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
