"""Signatures verified by `cryptography`, as the Worker has Web Crypto verify them."""

from base64 import urlsafe_b64decode
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


async def verify_signature(
    algorithm: str, jwk: Mapping[str, object], signature: bytes, data: bytes
) -> bool:
    """See `service.runtime.VerifySignature`."""
    if algorithm != "RS256" or jwk.get("kty") != "RSA":
        raise ValueError(f"not a key for {algorithm}")
    key = rsa.RSAPublicNumbers(_integer(jwk.get("e")), _integer(jwk.get("n"))).public_key()
    try:
        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _integer(text: object) -> int:
    return int.from_bytes(urlsafe_b64decode(f"{text}=="))
