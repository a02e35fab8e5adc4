"""The signature algorithms, and what each asks of a key and of a signature.

RFC 7518, sections 3 and 6, RFC 8037 and RFC 9864. What can be told by looking is told here, the
same on every platform; `VerifySignature` is left with the arithmetic.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
MIN_RSA_EXPONENT = 3  # RFC 8017, section 3.1

_BASE64URL = re.compile("[A-Za-z0-9_-]+")

Jwk = Mapping[str, object]


@dataclass(frozen=True)
class Key:
    """A public key that is fit for one algorithm; `jwk` holds its public members only."""

    algorithm: str
    kid: str
    jwk: Jwk


def read_key(jwk: object, algorithm: str) -> Key | None:
    """The key in a member of a key set, or None where it is not fit for `algorithm`.

    RFC 7517, section 4; a key that publishes its private half is not fit for anything.
    """
    if not isinstance(jwk, dict) or "d" in jwk:
        return None
    kid, operations = jwk.get("kid", ""), jwk.get("key_ops", ["verify"])
    meant_for_this = (
        isinstance(kid, str)
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and jwk.get("alg", algorithm) == algorithm
    )
    try:
        public = ALGORITHMS[algorithm].public_key(jwk) if meant_for_this else None
    except ValueError:
        return None
    return Key(algorithm, kid, public) if public else None


def is_signature(signature: bytes, algorithm: str) -> bool:
    """Whether any key at all could have made this signature."""
    return ALGORITHMS[algorithm].is_signature(signature)


def decode_base64url(text: str) -> bytes:
    """RFC 7515, section 2. Raises ValueError unless `text` is the one way to write its bytes."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    # The last character has bits to spare: many spellings would otherwise be one token.
    if urlsafe_b64encode(data).rstrip(b"=") != text.encode():
        raise ValueError("not canonical")
    return data


@dataclass(frozen=True)
class _Algorithm:
    """`public_key` takes a key's public members out of a JWK; it raises ValueError without them."""

    public_key: Callable[[Jwk], Mapping[str, str]]
    is_signature: Callable[[bytes], bool]


def _rsa() -> _Algorithm:
    """RFC 7518, sections 3.3, 3.5 and 6.3.1: a signature is as long as its key."""

    def public_key(jwk: Jwk) -> Mapping[str, str]:
        public = _members(jwk, "n", "e", kty="RSA")
        modulus, exponent = (
            int.from_bytes(decode_base64url(public[name]), "big") for name in ("n", "e")
        )
        if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS or modulus % 2 == 0:
            raise ValueError("the modulus is too short, too long or even")
        if not MIN_RSA_EXPONENT <= exponent < 2**32 or exponent % 2 == 0:
            raise ValueError("the exponent is too small, too large or even")
        return public

    return _Algorithm(
        public_key, lambda signature: MIN_RSA_BITS <= len(signature) * 8 <= MAX_RSA_BITS
    )


def _ecdsa(curve: str, order: int) -> _Algorithm:
    """RFC 7518, sections 3.4 and 6.2.1: r and s, x and y, each as long as the order."""
    size = (order.bit_length() + 7) // 8

    def public_key(jwk: Jwk) -> Mapping[str, str]:
        public = _members(jwk, "x", "y", kty="EC", crv=curve)
        if any(len(decode_base64url(public[name])) != size for name in ("x", "y")):
            raise ValueError("a coordinate is not of the curve's length")
        return public

    def is_signature(signature: bytes) -> bool:
        r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
        return len(signature) == 2 * size and 0 < r < order and 0 < s < order

    return _Algorithm(public_key, is_signature)


def _ed25519() -> _Algorithm:
    """RFC 8037, section 2, and RFC 8032, section 5.1."""
    prime = 2**255 - 19
    order = 2**252 + 27742317777372353535851937790883648493
    eighth = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
    # y of the points of order 1, 2, 4 and 8: under such a key, anybody can sign anything.
    small = frozenset({1, prime - 1, 0, eighth, prime - eighth})

    def public_key(jwk: Jwk) -> Mapping[str, str]:
        public = _members(jwk, "x", kty="OKP", crv="Ed25519")
        encoded = decode_base64url(public["x"])
        y = int.from_bytes(encoded, "little") % 2**255  # the highest bit is the sign of x
        if len(encoded) != 32 or y >= prime or y in small:
            raise ValueError("not the one encoding of a point of large order")
        return public

    def is_signature(signature: bytes) -> bool:
        return len(signature) == 64 and int.from_bytes(signature[32:], "little") < order

    return _Algorithm(public_key, is_signature)


def _members(jwk: Jwk, *names: str, **expected: str) -> dict[str, str]:
    """The members that are as expected, and those called `names`, which are text."""
    texts = {name: value for name in names if isinstance(value := jwk.get(name), str)}
    if len(texts) < len(names) or any(jwk.get(name) != expected[name] for name in expected):
        raise ValueError("a key of another kind")
    return expected | texts


_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P384 = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)
_P521 = int(
    "1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    "a51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
    16,
)

ALGORITHMS: Mapping[str, _Algorithm] = {
    "RS256": _rsa(),
    "RS384": _rsa(),
    "RS512": _rsa(),
    "PS256": _rsa(),
    "PS384": _rsa(),
    "PS512": _rsa(),
    "ES256": _ecdsa("P-256", _P256),
    "ES384": _ecdsa("P-384", _P384),
    "ES512": _ecdsa("P-521", _P521),
    "EdDSA": _ed25519(),
    "Ed25519": _ed25519(),  # RFC 9864's name for the same
}
"""Every algorithm understood, by its name in a token's header."""
