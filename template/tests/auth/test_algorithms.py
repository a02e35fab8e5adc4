"""Which keys are fit for which algorithm, and which signatures can be any key's."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.auth.algorithms import ALGORITHMS, Key, decode_base64url, is_signature, read_key
from service.runtime import VerifySignature
from tests.auth.issuer import Issuer, Json, base64url

DATA = b"what is signed"

# RFC 7515, appendix A.2; RFC 7517, appendix A.1; RFC 8037, appendix A.2.
RSA: Json = {
    "kty": "RSA",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
    "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5"
    "z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aG"
    "hyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "e": "AQAB",
}
N = str(RSA["n"])
EC: Json = {
    "kty": "EC",
    "crv": "P-256",
    "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
}
OKP: Json = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
KEYS = {"RS": RSA, "PS": RSA, "ES": EC, "Ed": OKP}
CURVES = {
    "ES256": (32, 2**256 - 2**224 + 2**192 - 89188191075325690597107910205041859247),
    "ES384": (48, 2**384 - 1388124618062372383947042015309946732620727252194336364173),
    "ES512": (66, 2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7),
}
"""The bytes of half a signature, and the curve's order."""
ORDER_25519 = 2**252 + 27742317777372353535851937790883648493
PRIME_25519 = 2**255 - 19


async def verify(
    issuer: Issuer, verify_signature: VerifySignature, algorithm: str, signature: bytes, name: str
) -> bool:
    """Whether it is a signature of DATA by the key called `name`, taken for the algorithm."""
    public = await issuer.public_key(name)
    key = read_key(public | {"alg": algorithm}, algorithm)
    if key is None or not is_signature(signature, algorithm):
        return False
    return await verify_signature(algorithm, key.jwk, signature, DATA)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_each_algorithm_verifies_its_own_signatures(
    algorithm: str, issuer: Issuer, verify_signature: VerifySignature
) -> None:
    signature = await issuer.signature(DATA, algorithm)
    assert await verify(issuer, verify_signature, algorithm, signature, algorithm)
    changed = signature[:-1] + bytes([signature[-1] ^ 1])
    assert not await verify(issuer, verify_signature, algorithm, changed, algorithm)


@pytest.mark.parametrize(
    ("algorithm", "other"),
    [
        pair
        for pair in product(ALGORITHMS, repeat=2)
        if pair[0] != pair[1] and not {*pair} <= {"EdDSA", "Ed25519"}
    ],
)
async def test_no_algorithm_takes_another_s_signatures(
    algorithm: str, other: str, issuer: Issuer, verify_signature: VerifySignature
) -> None:
    signature = await issuer.signature(DATA, algorithm)
    assert not await verify(issuer, verify_signature, other, signature, algorithm)


@pytest.mark.parametrize("algorithm", CURVES)
async def test_a_der_encoded_signature_is_no_signature(algorithm: str, issuer: Issuer) -> None:
    raw = await issuer.signature(DATA, algorithm)
    half = len(raw) // 2
    numbers = (int.from_bytes(part, "big") for part in (raw[:half], raw[half:]))
    parts = [number.to_bytes(number.bit_length() // 8 + 1, "big") for number in numbers]
    content = b"".join(bytes([2, len(part)]) + part for part in parts)
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    assert is_signature(raw, algorithm)
    assert not is_signature(b"\x30" + length + content, algorithm)


@pytest.mark.parametrize("algorithm", CURVES)
def test_r_and_s_are_within_the_order_of_the_curve(algorithm: str) -> None:
    size, order = CURVES[algorithm]
    for r, s in product((1, order - 1), repeat=2):
        assert is_signature(r.to_bytes(size, "big") + s.to_bytes(size, "big"), algorithm)
    for bad, good in product((0, order, order + 1, 2 ** (8 * size) - 1), (1, order - 1)):
        for r, s in ((bad, good), (good, bad), (bad, bad)):
            assert not is_signature(r.to_bytes(size, "big") + s.to_bytes(size, "big"), algorithm)


@pytest.mark.parametrize("algorithm", CURVES)
@pytest.mark.parametrize("excess", [-2, -1, 1, 2])
def test_r_and_s_are_as_long_as_the_order(algorithm: str, excess: int) -> None:
    size, _ = CURVES[algorithm]
    assert not is_signature(b"\x01" * (2 * size + excess), algorithm)


def test_an_ed25519_signature_has_one_encoding() -> None:
    def signature(s: int) -> bytes:
        return bytes(32) + s.to_bytes(32, "little")

    assert is_signature(signature(ORDER_25519 - 1), "EdDSA")
    assert not is_signature(signature(ORDER_25519), "EdDSA")
    assert not is_signature(signature(ORDER_25519 - 1)[:-1], "EdDSA")
    assert not is_signature(signature(1) + b"\x00", "EdDSA")


@pytest.mark.parametrize("size", [0, 255, 1025])
def test_no_rsa_key_makes_so_short_or_long_a_signature(size: int) -> None:
    assert not is_signature(bytes(size), "RS256")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"use": "sig"},
        {"key_ops": ["verify"]},
        {"kid": "a"},
        {"x5c": ["MIIB"], "ext": True},
    ],
)
def test_keys_that_are_fit(change: Json, algorithm: str) -> None:
    if algorithm in ("ES384", "ES512"):
        size, _ = CURVES[algorithm]
        crv = {"ES384": "P-384", "ES512": "P-521"}[algorithm]
        public = EC | {"crv": crv, "x": base64url(bytes(size)), "y": base64url(bytes(size))}
    else:
        public = KEYS[algorithm[:2]]
    for named in ({}, {"alg": algorithm}):
        key = read_key(public | change | named, algorithm)
        assert key == Key(algorithm, str(change.get("kid", "")), public)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "rsa"},
        {"kty": None},
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"alg": "RS512"},
        {"alg": "PS256"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": None},
        {"kid": 1},
        {"kid": None},
        {"d": "AQAB"},
    ],
)
def test_keys_that_are_fit_for_no_algorithm(change: Json, algorithm: str) -> None:
    assert read_key(KEYS[algorithm[:2]] | change, algorithm) is None


def modulus(bits: int, last: int = 1) -> str:
    return base64url((1 << bits - 1 | last).to_bytes((bits + 7) // 8, "big"))


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "EC"},
        {"n": None},
        {"n": 5},
        {"n": ""},
        {"n": N + "="},
        {"n": N[:-1] + "R"},
        {"n": modulus(1024)},
        {"n": modulus(2047)},
        {"n": modulus(2048, last=0)},
        {"n": modulus(8193)},
        {"e": None},
        {"e": "AQ"},
        {"e": "Ag"},
        {"e": "AQAC"},
        {"e": "AQAAAAE"},
        {"e": "AQAB="},
    ],
)
def test_rsa_keys_that_are_not_fit(change: Json) -> None:
    for algorithm in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
        assert read_key(RSA | change, algorithm) is None


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "OKP"},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"crv": "p-256"},
        {"crv": None},
        {"x": None},
        {"x": f"{EC['x']}="},
        {"x": f"AA{EC['x']}"},
        {"x": base64url(b"\x00" + decode_base64url(str(EC["x"])))},
        {"x": base64url(decode_base64url(str(EC["x"]))[1:])},
        {"y": base64url(decode_base64url(str(EC["y"]))[:-1])},
        {"y": 1},
        {"y": ""},
    ],
)
def test_elliptic_curve_keys_that_are_not_fit(change: Json) -> None:
    assert read_key(EC | change, "ES256") is None


def test_a_key_of_one_curve_is_not_fit_for_another_s_algorithm() -> None:
    for algorithm in ("ES384", "ES512", "EdDSA", "RS256"):
        assert read_key(EC, algorithm) is None


def encoded(y: int, sign: int = 0) -> str:
    """A point of edwards25519 by its y and the sign of its x (RFC 8032, section 5.1.2)."""
    return base64url((y | sign << 255).to_bytes(32, "little"))


EIGHTH = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [0, 1, PRIME_25519 - 1, EIGHTH, PRIME_25519 - EIGHTH])
def test_an_ed25519_key_of_small_order_is_not_fit(y: int, sign: int) -> None:
    # Under it, one signature fits many texts.
    assert read_key(OKP | {"x": encoded(y, sign)}, "EdDSA") is None


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "EC"},
        {"crv": "Ed448"},
        {"crv": "X25519"},
        {"crv": "ed25519"},
        {"x": None},
        {"x": f"{OKP['x']}="},
        {"x": base64url(bytes(31))},
        {"x": base64url(b"\x02" * 33)},
        {"x": encoded(PRIME_25519 + 2)},
    ],
)
def test_ed25519_keys_that_are_not_fit(change: Json) -> None:
    assert read_key(OKP | change, "EdDSA") is None


@pytest.mark.parametrize(
    ("algorithm", "jwk"),
    [
        ("ES256", EC | {"y": EC["x"]}),
        ("ES256", EC | {"x": base64url(b"\xff" * 32)}),
        ("ES256", EC | {"x": base64url(bytes(32)), "y": base64url(bytes(32))}),
    ],
    ids=["off the curve", "beyond the field", "infinity"],
)
async def test_a_key_that_is_no_point_of_its_curve_verifies_nothing(
    algorithm: str, jwk: Json, verify_signature: VerifySignature
) -> None:
    key = read_key(jwk, algorithm)
    assert key
    with pytest.raises(ValueError, match=r".*"):
        await verify_signature(algorithm, key.jwk, b"\x01" * 64, DATA)


@pytest.mark.parametrize("jwk", [None, 1, "RSA", [], [RSA], {}])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_no_key_is_not_fit(jwk: object, algorithm: str) -> None:
    assert read_key(jwk, algorithm) is None


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
texts = st.sampled_from([*RSA.values(), *EC.values(), *OKP.values(), "sig", "verify"])
values = leaves | texts | st.lists(leaves, max_size=2)
names = st.sampled_from([*RSA, *EC, "use", "kid", "alg", "key_ops"])


@hypothesis_settings(deadline=None)
@given(
    algorithm=st.sampled_from([*ALGORITHMS]),
    key=st.sampled_from([RSA, EC, OKP, {}]),
    changes=leaves | st.dictionaries(names, values),
)
def test_any_json_is_a_key_of_public_members_or_none(
    algorithm: str, key: Json, changes: object
) -> None:
    found = read_key(key | changes if isinstance(changes, dict) else changes, algorithm)
    public = {"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}
    assert found is None or {*found.jwk} == {"kty", *public[str(found.jwk["kty"])]}


@hypothesis_settings(deadline=None)
@given(algorithm=st.sampled_from([*ALGORITHMS]), signature=st.binary(max_size=1100))
def test_any_bytes_are_a_signature_or_not(algorithm: str, signature: bytes) -> None:
    assert is_signature(signature, algorithm) in (True, False)
