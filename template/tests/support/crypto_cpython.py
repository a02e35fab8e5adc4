"""Signatures verified by `cryptography`, as the Worker has Web Crypto verify them."""

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from service.auth.jwt import decode_base64url


async def verify_signature(
    algorithm: str, jwk: Mapping[str, object], signature: bytes, data: bytes
) -> bool:
    """See `service.runtime.VerifySignature`."""
    if algorithm != "RS256" or jwk.get("kty") != "RSA":
        raise ValueError(f"not a key for {algorithm}")
    e, n = (int.from_bytes(decode_base64url(str(jwk.get(name, "")))) for name in ("e", "n"))
    key = rsa.RSAPublicNumbers(e, n).public_key()
    try:
        key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
