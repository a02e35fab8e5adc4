"""Signatures verified by `cryptography`, as the Worker has Web Crypto verify them."""

import hmac
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

Jwk = Mapping[str, object]
Check = Callable[[Jwk, bytes, bytes], None]
"""Public key, signature, signed bytes; raises InvalidSignature, or ValueError for the key."""


async def verify_signature(algorithm: str, jwk: Jwk, signature: bytes, data: bytes) -> bool:
    """See `service.runtime.VerifySignature`."""
    try:
        _CHECKS[algorithm](jwk, signature, data)
    except InvalidSignature:
        return False
    except KeyError as error:
        raise ValueError(f"not a key for {algorithm}") from error
    return True


async def verify_hmac(secret: bytes, signature: bytes, data: bytes) -> bool:
    """See `service.runtime.VerifyHmac`."""
    if not secret:
        raise ValueError("the secret is empty")
    return hmac.compare_digest(hmac.digest(secret, data, "sha256"), signature)


def _rsa(scheme: padding.AsymmetricPadding, digest: hashes.HashAlgorithm) -> Check:
    def check(jwk: Jwk, signature: bytes, data: bytes) -> None:
        key = rsa.RSAPublicNumbers(_integer(jwk["e"]), _integer(jwk["n"])).public_key()
        key.verify(signature, data, scheme, digest)

    return check


def _rsa_pss(digest: hashes.HashAlgorithm) -> Check:
    return _rsa(padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size), digest)


def _ecdsa(curve: ec.EllipticCurve, digest: hashes.HashAlgorithm) -> Check:
    def check(jwk: Jwk, signature: bytes, data: bytes) -> None:
        numbers = ec.EllipticCurvePublicNumbers(_integer(jwk["x"]), _integer(jwk["y"]), curve)
        key, half = numbers.public_key(), len(signature) // 2
        r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
        key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(digest))

    return check


def _ed25519(jwk: Jwk, signature: bytes, data: bytes) -> None:
    ed25519.Ed25519PublicKey.from_public_bytes(_bytes(jwk["x"])).verify(signature, data)


def _integer(text: object) -> int:
    return int.from_bytes(_bytes(text))


def _bytes(text: object) -> bytes:
    return urlsafe_b64decode(f"{text}==")


_CHECKS: Mapping[str, Check] = {
    "RS256": _rsa(padding.PKCS1v15(), hashes.SHA256()),
    "RS384": _rsa(padding.PKCS1v15(), hashes.SHA384()),
    "RS512": _rsa(padding.PKCS1v15(), hashes.SHA512()),
    "PS256": _rsa_pss(hashes.SHA256()),
    "PS384": _rsa_pss(hashes.SHA384()),
    "PS512": _rsa_pss(hashes.SHA512()),
    "ES256": _ecdsa(ec.SECP256R1(), hashes.SHA256()),
    "ES384": _ecdsa(ec.SECP384R1(), hashes.SHA384()),
    "ES512": _ecdsa(ec.SECP521R1(), hashes.SHA512()),
    "EdDSA": _ed25519,
    "Ed25519": _ed25519,
}
