"""Public keys in PEM, as `openssl pkey -pubout` writes them: RFC 7468, section 13, and RFC 5280."""

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator

_BLOCK = re.compile(r"-----BEGIN PUBLIC KEY-----([\sA-Za-z0-9+/=]*)-----END PUBLIC KEY-----")
_INTEGER, _BIT_STRING, _SEQUENCE = 0x02, 0x03, 0x30

# AlgorithmIdentifiers: RFC 3279, section 2.3.1, RFC 5480, section 2.1, and RFC 8410, section 3.
_RSA = bytes.fromhex("06092a864886f70d0101010500")
_CURVES = {
    bytes.fromhex("06072a8648ce3d020106082a8648ce3d030107"): "P-256",
    bytes.fromhex("06072a8648ce3d020106052b81040022"): "P-384",
    bytes.fromhex("06072a8648ce3d020106052b81040023"): "P-521",
}
_ED25519 = bytes.fromhex("06032b6570")


def read_pem(text: object) -> object:
    """The public keys in `text` as JWKs; a newline may also be written as `\\n`.

    Raises ValueError, quoting nothing: what was set could be a private key.
    """
    if not isinstance(text, str):
        return text
    lines = text.replace("\\n", "\n")
    blocks = _BLOCK.findall(lines)
    if not blocks or _BLOCK.sub("", lines).strip():
        raise ValueError("needs public keys in PEM, each in -----BEGIN PUBLIC KEY-----")
    return tuple(_jwk(b64decode("".join(block.split()), validate=True)) for block in blocks)


PublicKeys = Annotated[tuple[Mapping[str, str], ...], BeforeValidator(read_pem)]
"""Public keys, as JWKs without names."""


def _jwk(der: bytes) -> dict[str, str]:
    """The key in a SubjectPublicKeyInfo; `read_key` says what it is fit for."""
    algorithm, encoded = _elements(_only(der, _SEQUENCE), _SEQUENCE, _BIT_STRING)
    unused, key = encoded[:1], encoded[1:]
    if unused != b"\x00":
        raise ValueError("needs a key of whole bytes")
    if algorithm == _RSA:
        n, e = _elements(_only(key, _SEQUENCE), _INTEGER, _INTEGER)
        return {"kty": "RSA", "n": _base64url(n.lstrip(b"\x00")), "e": _base64url(e)}
    if algorithm == _ED25519:
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(key)}
    if algorithm in _CURVES and key[:1] == b"\x04":
        half = len(key) // 2
        x, y = _base64url(key[1 : half + 1]), _base64url(key[half + 1 :])
        return {"kty": "EC", "crv": _CURVES[algorithm], "x": x, "y": y}
    raise ValueError("needs keys of RSA, P-256, P-384, P-521 (uncompressed) or Ed25519")


def _only(der: bytes, tag: int) -> bytes:
    return _elements(der, tag)[0]


def _elements(der: bytes, *tags: int) -> list[bytes]:
    """The contents of the elements that make up `der`, one of each tag, in their order (X.690)."""
    contents = []
    for tag in tags:
        if len(der) < 2 or der[0] != tag:
            raise ValueError("needs keys in DER")
        start, length = 2, der[1]
        if length >= 0x80:
            start += length - 0x80
            length = int.from_bytes(der[2:start], "big")
            # The shortest form is the only one; no key here is longer than two bytes can say.
            if start > 4 or length < (0x80 if start == 3 else 0x100):
                raise ValueError("needs keys in DER")
        content, der = der[start : start + length], der[start + length :]
        if len(content) < length:
            raise ValueError("needs whole keys")
        contents.append(content)
    if der:
        raise ValueError("needs keys with nothing behind them")
    return contents


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
