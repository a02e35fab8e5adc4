"""Public keys in PEM."""

from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.auth.algorithms import read_key
from service.auth.pem import read_pem
from tests.auth.issuer import Issuer

# RFC 8410, section 10.1.
RFC_8410 = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""
ED25519 = b64decode("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=")


def pem(der: bytes) -> str:
    return f"-----BEGIN PUBLIC KEY-----\n{b64encode(der).decode()}\n-----END PUBLIC KEY-----"


def test_the_example_of_rfc_8410_is_read() -> None:
    x = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE"
    assert read_pem(RFC_8410) == ({"kty": "OKP", "crv": "Ed25519", "x": x},)


@pytest.mark.parametrize("name", ["main", "ES256", "ES384", "ES512", "EdDSA", "PS512"])
async def test_a_key_is_the_same_in_pem_and_in_a_key_set(name: str, issuer: Issuer) -> None:
    jwk, text = await issuer.public_key(name), await issuer.pem(name)
    public = read_key(jwk, str(jwk["alg"]))
    assert public
    escaped = text.replace("\n", "\\n")
    for written in (text, text.replace("\n", "\r\n"), escaped, f"\n{text}\n{RFC_8410}"):
        keys = read_pem(written)
        assert isinstance(keys, tuple)
        assert keys[0] == public.jwk


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
        RFC_8410.replace("PUBLIC", "PRIVATE"),
        RFC_8410.replace("PUBLIC KEY", "CERTIFICATE"),
        RFC_8410.replace("PUBLIC", "RSA PUBLIC"),
        RFC_8410 + "and more",
        RFC_8410.replace("=", ""),
        RFC_8410.replace("Gb9", "G*9"),
        RFC_8410.replace("-----END PUBLIC KEY-----", ""),
        pem(b""),
        pem(ED25519[:-1]),
        pem(ED25519 + b"\x00"),
        pem(b"\x30\x80" + ED25519[2:]),
        pem(b"\x30\x81\x2a" + ED25519[2:]),
        pem(b"\x30\x82\x00\x2a" + ED25519[2:]),
        pem(b"\x30\x84\x00\x00\x00\x2a" + ED25519[2:]),
        pem(ED25519.replace(b"\x03\x21\x00", b"\x03\x21\x01")),
        pem(ED25519.replace(b"\x2b\x65\x70", b"\x2b\x65\x71")),
    ],
)
def test_what_is_no_public_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(needs|Incorrect|Only|Invalid|Excess)") as caught:
        read_pem(text)
    assert "Gb9" not in str(caught.value)


@hypothesis_settings(deadline=None)
@given(
    st.binary(max_size=80)
    | st.tuples(st.integers(0, len(ED25519) - 1), st.integers(0, 255)).map(
        lambda change: ED25519[: change[0]] + bytes([change[1]]) + ED25519[change[0] + 1 :]
    )
)
def test_any_bytes_are_a_key_or_refused(der: bytes) -> None:
    try:
        keys = read_pem(pem(der))
    except ValueError:
        return
    assert isinstance(keys, tuple)
    assert all(isinstance(member, str) for key in keys for member in key.values())
