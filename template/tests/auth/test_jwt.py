"""Which tokens are believed, and which keys."""

import json

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.auth.algorithms import Key, read_key
from service.auth.jwt import (
    MAX_KEYS_TRIED,
    MAX_TOKEN_LENGTH,
    Claims,
    Expectations,
    InvalidToken,
    examine,
    verify,
)
from service.runtime import VerifySignature
from tests.auth.issuer import Issuer, Json, base64url, signing_input

NOW = 1_800_000_000
HEADER: Json = {"alg": "RS256", "kid": "main", "typ": "JWT"}
CLAIMS: Json = {
    "iss": "https://clerk.example",
    "sub": "user_1",
    "azp": "https://app.example",
    "iat": NOW,
    "nbf": NOW - 10,
    "exp": NOW + 60,
}
EXPECTED = Expectations(
    issuer="https://clerk.example", authorized_parties=frozenset({"https://app.example"})
)

RFC_7515_A2_JWS = (
    "eyJhbGciOiJSUzI1NiJ9"
    ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5"
    "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb"
    "1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QO"
    "YEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
)
RFC_7515_A2_KEY = {
    "kty": "RSA",
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt"
    "0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5"
    "z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aG"
    "hyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    "e": "AQAB",
}


def without(part: Json, name: str) -> Json:
    return {key: value for key, value in part.items() if key != name}


def raw(part: Json, member: str) -> bytes:
    """The part with one more member, in any text."""
    return json.dumps(part)[:-1].encode() + b", " + member.encode() + b"}"


def unsigned(header: Json | bytes, claims: Json | bytes) -> str:
    """A token that only a key could tell from a real one."""
    return f"{signing_input(header, claims)}.{base64url(bytes(256))}"


async def believe(
    token: str, issuer: Issuer, verify_signature: VerifySignature, expected: Expectations = EXPECTED
) -> Claims:
    """Verify with the issuer's key "main"."""
    key = read_key(await issuer.public_key("main"), "RS256")
    assert key
    return await verify(examine(token, expected, NOW), [key], verify_signature)


async def test_a_good_token_gives_its_claims(
    issuer: Issuer, verify_signature: VerifySignature
) -> None:
    token = await issuer.sign(HEADER, CLAIMS | {"org": {"id": "org_1"}})
    claims = await believe(token, issuer, verify_signature)
    assert (claims.sub, claims.exp, claims.azp) == ("user_1", NOW + 60, "https://app.example")
    assert claims.model_extra == {"org": {"id": "org_1"}}


async def test_the_example_of_rfc_7515_verifies(verify_signature: VerifySignature) -> None:
    key = read_key(RFC_7515_A2_KEY, "RS256")
    assert key
    token = examine(RFC_7515_A2_JWS, Expectations(issuer="joe"), 1_300_819_379)
    claims = await verify(token, [key], verify_signature)
    assert claims.model_extra == {"http://example.com/is_root": True}


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(without(HEADER, "typ"), id="no type"),
        pytest.param(HEADER | {"typ": "jwt"}, id="type in lower case"),
        pytest.param(without(HEADER, "kid"), id="no key named"),
        pytest.param(HEADER | {"cat": "cl_B7", "x5t": "abc"}, id="unknown parameters"),
        pytest.param(b' {"alg" : "RS256",\r\n "kid":"main"} ', id="spaced JSON"),
    ],
)
async def test_headers_that_are_accepted(
    header: Json | bytes, issuer: Issuer, verify_signature: VerifySignature
) -> None:
    token = await issuer.sign(header, CLAIMS)
    assert (await believe(token, issuer, verify_signature)).sub == "user_1"


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (HEADER | {"alg": "none"}, "algorithm"),
        (HEADER | {"alg": "None"}, "algorithm"),
        (HEADER | {"alg": "HS256"}, "algorithm"),
        (HEADER | {"alg": "RS512"}, "algorithm"),
        (HEADER | {"alg": "PS256"}, "algorithm"),
        (HEADER | {"alg": "rs256"}, "algorithm"),
        (HEADER | {"alg": ""}, "algorithm"),
        (HEADER | {"alg": None}, "malformed"),
        (HEADER | {"alg": ["RS256"]}, "malformed"),
        (without(HEADER, "alg"), "malformed"),
        (HEADER | {"kid": 1}, "malformed"),
        (HEADER | {"kid": None}, "malformed"),
        (HEADER | {"typ": "at+jwt"}, "another type"),
        (HEADER | {"typ": "secevent+jwt"}, "another type"),
        (HEADER | {"typ": 1}, "malformed"),
        (HEADER | {"crit": ["exp"]}, "parameter"),
        (HEADER | {"crit": []}, "parameter"),
        (HEADER | {"crit": None}, "parameter"),
        (HEADER | {"crit": ["b64"], "b64": False}, "parameter"),
        (HEADER | {"b64": False}, "parameter"),
        (HEADER | {"jwk": RFC_7515_A2_KEY}, "parameter"),
        (HEADER | {"jku": "https://evil.example/jwks.json"}, "parameter"),
        (HEADER | {"x5u": "https://evil.example/cert.pem"}, "parameter"),
        (HEADER | {"x5c": ["MIIB"]}, "parameter"),
        (raw(HEADER, '"alg": "none"'), "malformed"),
        (b'{"alg": "none", "alg": "RS256", "kid": "main"}', "malformed"),
        (raw(HEADER, r'"\u0061lg": "RS256"'), "malformed"),
    ],
)
def test_headers_that_are_refused(header: Json | bytes, why: str) -> None:
    token = unsigned(header, CLAIMS)
    with pytest.raises(InvalidToken, match=why):
        examine(token, EXPECTED, NOW)


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param('"1800000000"', id="string"),
        pytest.param("true", id="boolean"),
        pytest.param("null", id="null"),
        pytest.param("[1]", id="list"),
        pytest.param("NaN", id="NaN"),
        pytest.param("Infinity", id="Infinity"),
        pytest.param("-Infinity", id="-Infinity"),
        pytest.param("1e999", id="beyond a float"),
        pytest.param("-1", id="negative"),
        pytest.param("1e300", id="beyond the calendar"),
        pytest.param("9" * 400, id="400 digits"),
        pytest.param("9" * 5000, id="5000 digits"),
    ],
)
def test_times_that_are_no_times_are_refused(name: str, value: str) -> None:
    token = unsigned(HEADER, raw(without(CLAIMS, name), f'"{name}": {value}'))
    with pytest.raises(InvalidToken, match="malformed"):
        examine(token, EXPECTED, NOW)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        (without(CLAIMS, "exp"), "malformed"),
        (CLAIMS | {"exp": NOW - 5}, "expired"),
        (CLAIMS | {"exp": 0}, "expired"),
        (CLAIMS | {"nbf": NOW + 6}, "not valid yet"),
        (CLAIMS | {"iat": NOW + 6}, "not valid yet"),
        (without(CLAIMS, "iss"), "malformed"),
        (CLAIMS | {"iss": ["https://clerk.example"]}, "malformed"),
        (CLAIMS | {"iss": "https://clerk.example/"}, "another issuer"),
        (CLAIMS | {"iss": "https://CLERK.example"}, "another issuer"),
        (CLAIMS | {"iss": "https://clerk.example.evil.example"}, "another issuer"),
        (CLAIMS | {"iss": ""}, "another issuer"),
        (CLAIMS | {"sub": 1}, "malformed"),
        (CLAIMS | {"sub": None}, "malformed"),
        (without(CLAIMS, "azp"), "another party"),
        (CLAIMS | {"azp": ""}, "another party"),
        (CLAIMS | {"azp": "https://app.example/"}, "another party"),
        (CLAIMS | {"azp": "https://app.example.evil.example"}, "another party"),
        (CLAIMS | {"azp": ["https://app.example"]}, "malformed"),
        (CLAIMS | {"aud": "api"}, "another audience"),
        (CLAIMS | {"aud": 1}, "malformed"),
        (CLAIMS | {"aud": None}, "malformed"),
        (CLAIMS | {"aud": {"api": True}}, "malformed"),
        (CLAIMS | {"aud": ["api", 1]}, "malformed"),
        (CLAIMS | {"aud": [["api"]]}, "malformed"),
        (raw(CLAIMS, '"sub": "user_2"'), "malformed"),
        (raw(CLAIMS, '"org": {"id": "a", "id": "b"}'), "malformed"),
        (raw(CLAIMS, '"org": [{"id": NaN}]'), "malformed"),
        (raw(CLAIMS, '"org": [1e999]'), "malformed"),
        (raw(CLAIMS, '"org": "\\ud800"'), "malformed"),
        (raw(CLAIMS, '"org": ' + "[" * 1000 + "]" * 1000), "malformed"),
        (raw(CLAIMS, '"org": ' + '{"a":' * 500 + "1" + "}" * 500), "malformed"),
    ],
)
def test_claims_that_are_refused(claims: Json | bytes, why: str) -> None:
    token = unsigned(HEADER, claims)
    with pytest.raises(InvalidToken, match=why):
        examine(token, EXPECTED, NOW)


@pytest.mark.parametrize(
    "claims",
    [
        CLAIMS | {"exp": NOW - 4},
        CLAIMS | {"exp": NOW + 0.5},
        CLAIMS | {"nbf": NOW + 5},
        CLAIMS | {"iat": NOW + 5},
        without(without(CLAIMS, "nbf"), "iat"),
    ],
)
def test_clocks_may_differ_by_the_leeway(claims: Json) -> None:
    token = unsigned(HEADER, claims)
    assert examine(token, EXPECTED, NOW).claims.sub == "user_1"


@pytest.mark.parametrize("text", ["[]", "null", '"RS256"', "1", "", " ", "{", "{}{}", "{'a': 1}"])
@pytest.mark.parametrize("part", ["header", "claims"])
def test_parts_that_are_no_json_object_are_refused(text: str, part: str) -> None:
    data = text.encode() or b"\n"
    token = unsigned(*((data, CLAIMS) if part == "header" else (HEADER, data)))
    with pytest.raises(InvalidToken, match="malformed"):
        examine(token, EXPECTED, NOW)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32-le", "latin-1"])
def test_parts_in_another_encoding_are_refused(encoding: str) -> None:
    text = json.dumps(CLAIMS | {"name": "Zoë"}, ensure_ascii=False)
    token = unsigned(HEADER, text.encode(encoding))
    with pytest.raises(InvalidToken, match="malformed"):
        examine(token, EXPECTED, NOW)


@pytest.mark.parametrize(
    ("audience", "accepted"),
    [
        ("api", True),
        (["web", "api"], True),
        (["api"], True),
        ("API", False),
        ("api ", False),
        ("", False),
        (["web"], False),
        ([], False),
        (["api,web"], False),
    ],
)
def test_an_audience_that_is_expected_must_be_named(audience: object, accepted: bool) -> None:
    expected = Expectations(issuer="https://clerk.example", audiences=frozenset({"api"}))
    token = unsigned(HEADER, CLAIMS | {"aud": audience})
    if accepted:
        assert examine(token, expected, NOW).claims.sub == "user_1"
    else:
        with pytest.raises(InvalidToken, match="another audience"):
            examine(token, expected, NOW)


def test_an_audience_that_is_expected_must_be_there() -> None:
    expected = Expectations(issuer="https://clerk.example", audiences=frozenset({"api"}))
    with pytest.raises(InvalidToken, match="another audience"):
        examine(unsigned(HEADER, CLAIMS), expected, NOW)


async def test_respelled_tokens_are_refused(issuer: Issuer) -> None:
    token = await issuer.sign(HEADER, CLAIMS)
    header, claims, signature = token.split(".")
    # 256 bytes leave four spare bits in the last character.
    spare = chr(ord(signature[-1]) + 1)
    respelled = [
        f"{token}=",
        f"{token}==",
        f"{header}=.{claims}.{signature}",
        f"{header}.{claims}.{signature[:-1]}{spare}",
        f" {token}",
        f"{token}\n",
        f"{header}. {claims}.{signature}",
        f"{header}.{claims[:5]}\n{claims[5:]}.{signature}",
        f"{header}.{claims}.{signature}.",
        f".{header}.{claims}.{signature}",
        f"{header}.{claims}.{signature}.{signature}",
        f"{header}.{claims}.{signature}.{header}.{claims}",
        f"{header}.{claims}",
        f"{header}.{claims}.",
        f"{header}..{signature}",
        f".{claims}.{signature}",
        f"{header}.{claims}.+/{signature[2:]}",
        f"{header}.{claims}.\u00e9{signature[1:]}",
        f"{header}.{claims}.\uff21{signature[1:]}",
        "",
        "..",
        "." * MAX_TOKEN_LENGTH,
    ]
    for text in respelled:
        with pytest.raises(InvalidToken):
            examine(text, EXPECTED, NOW)


def test_a_token_has_a_greatest_length() -> None:
    token = unsigned(HEADER, CLAIMS | {"name": "a" * MAX_TOKEN_LENGTH})
    with pytest.raises(InvalidToken, match="too long"):
        examine(token, EXPECTED, NOW)


@pytest.mark.parametrize(("key", "why"), [("other", "signature"), ("small", "signature")])
async def test_another_key_under_the_same_name_is_refused(
    key: str, why: str, issuer: Issuer, verify_signature: VerifySignature
) -> None:
    token = await issuer.sign(HEADER, CLAIMS, key=key)
    with pytest.raises(InvalidToken, match=why):
        await believe(token, issuer, verify_signature)


async def test_a_hash_under_the_public_key_is_no_signature(
    issuer: Issuer, verify_signature: VerifySignature
) -> None:
    with pytest.raises(InvalidToken, match="algorithm"):
        examine(await issuer.sign(HEADER | {"alg": "HS256"}, CLAIMS, key="hmac"), EXPECTED, NOW)
    token = await issuer.sign(HEADER, CLAIMS, key="hmac")
    with pytest.raises(InvalidToken, match="signature"):
        await believe(token, issuer, verify_signature)


async def test_a_token_without_signature_is_refused(issuer: Issuer) -> None:
    for algorithm in ("none", "RS256"):
        token = await issuer.sign(HEADER | {"alg": algorithm}, CLAIMS, key="none")
        with pytest.raises(InvalidToken, match="base64url"):
            examine(token, EXPECTED, NOW)


async def test_changed_claims_are_refused(
    issuer: Issuer, verify_signature: VerifySignature
) -> None:
    header, _, signature = (await issuer.sign(HEADER, CLAIMS)).split(".")
    claims = base64url(json.dumps(CLAIMS | {"sub": "user_2"}).encode())
    with pytest.raises(InvalidToken, match="signature"):
        await believe(f"{header}.{claims}.{signature}", issuer, verify_signature)


@pytest.mark.parametrize("size", [1, 255, 257, 512])
async def test_a_signature_of_another_size_is_refused(
    size: int, issuer: Issuer, verify_signature: VerifySignature
) -> None:
    signed = (await issuer.sign(HEADER, CLAIMS)).rpartition(".")[0]
    for byte in (b"\x00", b"\xff"):
        with pytest.raises(InvalidToken, match="signature"):
            await believe(f"{signed}.{base64url(byte * size)}", issuer, verify_signature)


async def test_an_unknown_key_is_refused(issuer: Issuer, verify_signature: VerifySignature) -> None:
    token = await issuer.sign(HEADER | {"kid": "other"}, CLAIMS)
    with pytest.raises(InvalidToken, match="not one of the issuer's"):
        await believe(token, issuer, verify_signature)


async def test_a_key_for_another_algorithm_is_not_tried(
    issuer: Issuer, verify_signature: VerifySignature
) -> None:
    other = Key("RS384", "main", await issuer.public_key("main"))
    token = examine(await issuer.sign(HEADER, CLAIMS), EXPECTED, NOW)
    with pytest.raises(InvalidToken, match="not one of the issuer's"):
        await verify(token, [other], verify_signature)


async def test_a_key_that_cannot_be_used_leaves_the_others(
    issuer: Issuer, verify_signature: VerifySignature
) -> None:
    broken = Key("RS256", "main", {"kty": "RSA", "n": "", "e": ""})
    good = read_key(await issuer.public_key("main"), "RS256")
    assert good
    token = examine(await issuer.sign(HEADER, CLAIMS), EXPECTED, NOW)
    assert (await verify(token, [broken, good], verify_signature)).sub == "user_1"
    with pytest.raises(InvalidToken, match="signature"):
        await verify(token, [broken], verify_signature)


async def test_a_token_that_names_no_key_is_tried_against_a_few(
    issuer: Issuer, verify_signature: VerifySignature
) -> None:
    key = read_key(await issuer.public_key("main"), "RS256")
    assert key
    token = examine(await issuer.sign(without(HEADER, "kid"), CLAIMS), EXPECTED, NOW)
    assert (await verify(token, [key] * MAX_KEYS_TRIED, verify_signature)).sub == "user_1"
    with pytest.raises(InvalidToken, match="the issuer has many"):
        await verify(token, [key] * (MAX_KEYS_TRIED + 1), verify_signature)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = leaves | st.lists(leaves, max_size=2) | st.sampled_from([*HEADER.values(), NOW, NOW + 60])
members = st.dictionaries(
    st.sampled_from([*HEADER, *CLAIMS, "aud", "crit"]) | st.text(max_size=5), values, max_size=4
)
objects = st.builds(lambda changes: json.dumps(CLAIMS | HEADER | changes).encode(), members)
segments = (st.binary(max_size=40) | objects).map(base64url) | st.text(max_size=20)
texts = st.text(max_size=100) | st.lists(segments, min_size=2, max_size=4).map(".".join)


@hypothesis_settings(deadline=None)
@given(text=texts | st.tuples(objects, objects).map(lambda parts: unsigned(*parts)))
def test_any_text_is_a_token_as_expected_or_an_invalid_one(text: str) -> None:
    try:
        token = examine(text, EXPECTED, NOW)
    except InvalidToken:
        return
    assert token.algorithm == "RS256"
    assert token.claims.iss == EXPECTED.issuer
    assert token.claims.azp == "https://app.example"
    assert token.claims.exp > NOW - 5
    assert max(token.claims.nbf, token.claims.iat) <= NOW + 5
