"""Run in a generated project, as a test of its own: every vector comes out as it was published.

Beside it is vectors.json, which tests/runtime/test_published_vectors.py writes.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from service.auth.algorithms import ALGORITHMS, is_signature, read_key
from service.auth.jwt import Expectations, InvalidToken, examine, verify
from service.runtime import VerifySignature

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())
THEN = 1_300_819_379
"""One second before RFC 7515's examples expire."""


@pytest.mark.parametrize("name", VECTORS["signatures"])
async def test_every_signature_comes_out_as_published(
    name: str, verify_signature: VerifySignature
) -> None:
    wrong = [
        [case["comment"], case["accepted"]]
        for group in VECTORS["signatures"][name]
        for case in group["cases"]
        if await is_accepted(group, case, verify_signature) != case["accepted"]
    ]
    assert wrong == []


@pytest.mark.parametrize("name", VECTORS["tokens"])
async def test_every_token_comes_out_as_published(
    name: str, verify_signature: VerifySignature
) -> None:
    token, jwk, accepted = VECTORS["tokens"][name]
    expected = Expectations(issuer="joe", algorithms=frozenset(ALGORITHMS))
    try:
        unverified = examine(token, expected, THEN)
        key = read_key(jwk, unverified.algorithm)
        claims = await verify(unverified, [key] if key else [], verify_signature)
    except InvalidToken:
        assert not accepted
    else:
        assert accepted
        assert claims.model_extra == {"http://example.com/is_root": True}


async def is_accepted(
    group: dict[str, Any], case: dict[str, Any], verify_signature: VerifySignature
) -> bool:
    """What becomes of a signature under a key, as one of a token and an issuer's key would."""
    algorithm = group["algorithm"]
    key = read_key(group["jwk"], algorithm)
    signature = bytes.fromhex(case["signature"])
    if key is None or not is_signature(signature, algorithm):
        return False
    try:
        message = bytes.fromhex(case["message"])
        return bool(await verify_signature(algorithm, key.jwk, signature, message))
    except ValueError:
        return False
