"""The signatures of shared secrets, checked without PyJWT, mean what they mean to PyJWT."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidKeyError, PyJWTError

from userline.gateway.auth.keys import Key, SharedSecret
from userline.settings.together import is_another_key

if TYPE_CHECKING:
    from typing import TypeAlias

    PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

SECRET = b"a secret of more than 32 bytes altogether"
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def is_good_to_pyjwt(token: str, secret: bytes) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):  # about short secrets
            jwt.api_jws.PyJWS().decode_complete(token, secret, algorithms=["HS256"])
    except PyJWTError:
        return False
    return True


def is_good(token: str, secret: bytes) -> bool:
    return SharedSecret(secret).is_signed(token, "HS256", Key(secret, b""))


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=100).filter(lambda secret: not is_another_key(secret)))
def test_what_pyjwt_signs_is_good_and_nothing_else(payload: bytes, secret: bytes) -> None:
    with warnings.catch_warnings(action="ignore"):
        token = jwt.api_jws.PyJWS().encode(payload, secret, algorithm="HS256")
    assert is_good(token, secret)
    assert not is_good(token, secret + b"x")
    head, body, signature = token.split(".")
    for bad in (f"{head}.{body}A.{signature}", f"{head}A.{body}.{signature}", f"{head}.{body}.{signature[:-4]}"):
        assert not is_good(bad, secret)


@given(st.text(CHARACTERS, min_size=1, max_size=50))
@example("A")
@example("AAAAA")
def test_a_signature_that_is_another_is_judged_as_pyjwt_judges_it(signature: str) -> None:
    token = f"eyJhbGciOiJIUzI1NiJ9.e30.{signature}"
    assert not is_good(token, SECRET)
    assert not is_good_to_pyjwt(token, SECRET)


def test_each_last_character_of_a_signature_is_judged_as_pyjwt_judges_it() -> None:
    token = jwt.encode({}, SECRET, algorithm="HS256")
    judged = {
        last: (is_good(token[:-1] + last, SECRET), is_good_to_pyjwt(token[:-1] + last, SECRET)) for last in CHARACTERS
    }
    assert all(ours == theirs for ours, theirs in judged.values())
    assert judged[token[-1]] == (True, True)


@cache
def keys_of_all_kinds() -> dict[str, bytes]:
    """Keys that anybody may have by mistake where a secret is to be, in each form that there is."""
    private: dict[str, PrivateKey] = {
        "RSA": rsa.generate_private_key(65537, 2048),
        "P-256": ec.generate_private_key(ec.SECP256R1()),
        "P-384": ec.generate_private_key(ec.SECP384R1()),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    found: dict[str, bytes] = {}
    for kind, key in private.items():
        public = key.public_key()
        found[f"{kind}, public, PEM"] = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        found[f"{kind}, public, DER"] = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        found[f"{kind}, public, SSH"] = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        found[f"{kind}, private, PEM"] = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        found[f"{kind}, private, OpenSSH"] = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "example.com")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(public)
            .serial_number(1)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=1))
            .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256())
        )
        found[f"{kind}, certificate, PEM"] = certificate.public_bytes(Encoding.PEM)
        found[f"{kind}, certificate, DER"] = certificate.public_bytes(Encoding.DER)
    jwk = json.dumps({"kty": "oct", "k": "c2VjcmV0"})
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-32-be"):
        found[f"JWK, {encoding}"] = jwk.encode(encoding)
        found[f"JWKS, {encoding}"] = json.dumps({"keys": [json.loads(jwk)]}).encode(encoding)
        found[f"list of JWKs, {encoding}"] = f"  [{jwk}]\n".encode(encoding)
    return found


def test_a_key_of_another_kind_is_known_in_every_form() -> None:
    forms = keys_of_all_kinds()
    assert len(forms) == 46
    assert [form for form, key in forms.items() if not is_another_key(key)] == []
    assert not is_another_key(SECRET)


@given(
    st.one_of(
        st.binary(max_size=80),
        st.builds(
            b"".join,
            st.lists(
                st.sampled_from(
                    [
                        b"-----BEGIN PUBLIC KEY-----",
                        b"-----END PUBLIC KEY-----",
                        b'{"kty":1}',
                        b"[",
                        b"]",
                        b"ssh-rsa",
                        b"\n",
                    ]
                ),
                max_size=8,
            ),
        ),
    )
)
def test_what_pyjwt_takes_for_another_key_is_one(secret: bytes) -> None:
    try:
        HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
    except InvalidKeyError:
        assert is_another_key(secret)
    else:
        assert not is_another_key(secret)


@pytest.mark.parametrize("key", ["JWK, utf-8", "RSA, public, PEM", "Ed25519, public, DER"])
def test_it_is_no_shared_secret(key: str) -> None:
    with pytest.raises(ValueError, match="key of another kind"):
        SharedSecret(keys_of_all_kinds()[key])
