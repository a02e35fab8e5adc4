"""What all identity services have in common, as a caller or an operator sees it."""

import json
from dataclasses import replace
from time import time

import httpx
import pytest

from service.auth.keys import at
from service.auth.tokens import Tokens, TokenSettings
from service.context import CALLER
from service.runtime import VerifySignature
from service.settings import SettingsError
from service.web import Request, Response, Route
from tests.auth.issuer import Clock, Issuer, Json, KeyServer
from tests.conftest import Env, serve, service_context
from tests.support.choices import AUTH
from tests.support.standins import StandinsView, credentials

LIVE = {"AUTH_AUDIENCE": "api"}


async def ask(env: Env, token: str) -> httpx.Response:
    async with serve(env) as service:
        return await service.get("/v1/me", headers=credentials(token))


@pytest.fixture
def without_network(env: Env, standins: StandinsView) -> Env:
    """An environment whose issuer publishes nothing."""
    return env | {"AUTH_ISSUER": f"{standins.url}/nowhere"}


async def test_each_of_several_audiences_is_the_service_s(env: Env, standins: StandinsView) -> None:
    several = env | {"AUTH_AUDIENCE": "one, two"}
    for audience in ("one", "two", ["other", "two"]):
        assert (await ask(several, await standins.token({"aud": audience}))).status_code == 200
    for other in ("one, two", "three", ["four"], None):
        assert (await ask(several, await standins.token({"aud": other}))).status_code == 401


async def test_clocks_may_be_apart_by_the_leeway(env: Env, standins: StandinsView) -> None:
    now = int(time())
    late = await standins.token({"exp": now - 30})
    early = await standins.token({"nbf": now + 60, "iat": now + 60})
    for token in (late, early):
        assert (await ask(env, token)).status_code == 401
        assert (await ask(env | {"AUTH_LEEWAY_SECONDS": "90"}, token)).status_code == 200
        assert (await ask(env | {"AUTH_LEEWAY_SECONDS": "0"}, token)).status_code == 401


@pytest.mark.parametrize("key", ["main", "ES256", "ES384", "ES512", "EdDSA", "PS384", "PS512"])
async def test_a_public_key_of_the_settings_needs_no_network(
    key: str, without_network: Env, standins: StandinsView, issuer: Issuer
) -> None:
    algorithm = "RS256" if key == "main" else key
    env = without_network | {"AUTH_PUBLIC_KEY": await issuer.pem(key), "AUTH_ALGORITHMS": algorithm}
    claims = {"iss": env["AUTH_ISSUER"]}
    for kid in (key, "any", None):
        token = await standins.token(claims, {"kid": kid}, key)
        assert (await ask(env, token)).status_code == 200
    for another in (f"{algorithm}-other", "hmac", "none"):
        token = await standins.token(claims, {"kid": key, "alg": algorithm}, another)
        assert (await ask(env, token)).status_code == 401


async def test_of_several_public_keys_each_is_good(
    without_network: Env, standins: StandinsView, issuer: Issuer
) -> None:
    both = await issuer.pem("RS256-old") + await issuer.pem("RS256-new")
    env = without_network | {"AUTH_PUBLIC_KEY": both}
    for key, status in (("RS256-old", 200), ("RS256-new", 200), ("RS256-other", 401)):
        token = await standins.token({"iss": env["AUTH_ISSUER"]}, {}, key)
        assert (await ask(env, token)).status_code == status


async def test_a_public_key_has_to_be_fit_for_the_algorithms(issuer: Issuer) -> None:
    for key in ("ES256", "EdDSA", "small"):
        with pytest.raises(SettingsError, match=r"AUTH_PUBLIC_KEY .* not fit for AUTH_ALGORITHMS"):
            TokenSettings.load(LIVE | {"AUTH_PUBLIC_KEY": await issuer.pem(key)})
    with pytest.raises(SettingsError, match="both set"):
        TokenSettings.load(
            LIVE | {"AUTH_PUBLIC_KEY": await issuer.pem(), "AUTH_JWKS_URL": "https://a.example"}
        )


@pytest.mark.parametrize("key", ["ES256", "EdDSA", "PS384"])
async def test_the_algorithms_are_those_of_the_settings(
    key: str, env: Env, key_server: KeyServer, standins: StandinsView
) -> None:
    await key_server.serve(key)
    elsewhere = env | {"AUTH_JWKS_URL": key_server.jwks_url}
    token = await standins.token(key=key)
    assert (await ask(elsewhere, token)).status_code == 401
    assert (await ask(elsewhere | {"AUTH_ALGORITHMS": f"RS256, {key}"}, token)).status_code == 200


async def test_a_token_that_is_bound_to_a_key_is_not_a_bearer_token(
    env: Env, standins: StandinsView
) -> None:
    for bound in ({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}, {}):
        answer = await ask(env, await standins.token({"cnf": bound}))
        assert answer.status_code == 401
        assert "bound to a key" in answer.text


async def test_keys_are_kept_for_as_long_as_the_settings_say(
    key_server: KeyServer,
    issuer: Issuer,
    http: httpx.AsyncClient,
    verify_signature: VerifySignature,
) -> None:
    settings = TokenSettings.load(LIVE | {"AUTH_JWKS_CACHE_SECONDS": "10"})
    clock = Clock(time())
    keys = {"https://issuer.example": at(key_server.jwks_url)}
    tokens = Tokens(settings, keys, http, verify_signature, clock)
    claims: Json = {"iss": "https://issuer.example", "aud": "api", "sub": "a", "exp": clock() + 60}
    token = await issuer.sign({"alg": "RS256", "kid": "main"}, claims)
    await key_server.serve("main")
    for hits in (1, 2):
        for _ in range(2):
            await tokens.principal(token, lambda token: token.claims.sub)
        assert await key_server.hits() == hits
        clock.now += 10


async def test_a_key_that_changed_under_its_name_is_found(
    env: Env, key_server: KeyServer, issuer: Issuer, standins: StandinsView
) -> None:
    await key_server.serve("main")
    old = credentials(await standins.token())
    new = credentials(await standins.token(key="other", header={"kid": "main"}))
    async with serve(env | {"AUTH_JWKS_URL": key_server.jwks_url}) as service:
        assert (await service.get("/v1/me", headers=old)).status_code == 200
        await key_server.serve(await issuer.public_key("other") | {"kid": "main"})
        assert (await service.get("/v1/me", headers=new)).status_code == 200
        refused = await service.get("/v1/me", headers=old)
    assert refused.status_code == 401
    assert "signature is wrong" in refused.text
    assert await key_server.hits() == 2


async def test_the_log_says_why_a_token_was_refused(
    env: Env, standins: StandinsView, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = await standins.token({"sub": "user_secret"}, key="other")
    expired = await standins.token({"exp": 1, "sub": "user_secret"})
    async with serve(env) as service:
        for headers in ({}, credentials(expired), credentials(forged)):
            await service.get("/v1/me", headers=headers)
    printed = capsys.readouterr().out
    lines = [json.loads(line) for line in printed.splitlines()]
    refused = [line for line in lines if line["event"] == "unauthorized"]
    asked = [line for line in lines if line["event"] == "request"]
    assert [line["request_id"] for line in refused] == [line["request_id"] for line in asked]
    reasons = [line["reason"] for line in refused]
    assert reasons[0].startswith("the request has no ")
    assert reasons[1:] == [
        "the token has expired",
        "the token's key is not one of the issuer's",
    ]
    assert "user_secret" not in printed
    assert not any(part in printed for token in (forged, expired) for part in token.split("."))


async def test_a_handler_has_the_verified_claims(env: Env, standins: StandinsView) -> None:
    claims = {"email": "dev@example.com", "roles": ["admin"], "org": {"id": "org_1"}}

    async def handler(_request: Request) -> Response:
        return Response(204)

    anonymous = Request.of_nobody("/v1/mine", "", "")
    assert anonymous.claims == {}
    headers = httpx.Headers(credentials(await standins.token(claims)))
    async with service_context(env) as context:
        identified = await context.require(CALLER)(
            replace(anonymous, headers=headers), Route("POST", "/v1/mine", handler)
        )
    assert identified.caller == "user_dev"
    assert identified.claims.items() >= claims.items()
    assert identified.claims["iss"] == env["AUTH_ISSUER"]
    assert "nbf" in identified.claims
    assert ("azp" in identified.claims) == (AUTH == "clerk")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_AUDIENCE", ","),
        ("AUTH_AUDIENCE", "api,,web"),
        ("AUTH_JWKS_URL", "http://keys.example.com"),
        ("AUTH_PUBLIC_KEY", "-----BEGIN PRIVATE KEY-----"),
        ("AUTH_ALGORITHMS", "none"),
        ("AUTH_ALGORITHMS", "HS256"),
        ("AUTH_ALGORITHMS", "RS256,"),
        ("AUTH_ALGORITHMS", "rs256"),
        ("AUTH_ALGORITHMS", "RS256 ES256"),
        ("AUTH_JWKS_CACHE_SECONDS", "9"),
        ("AUTH_JWKS_CACHE_SECONDS", "3601"),
        ("AUTH_JWKS_CACHE_SECONDS", "nan"),
        ("AUTH_LEEWAY_SECONDS", "-1"),
        ("AUTH_LEEWAY_SECONDS", "121"),
        ("AUTH_LEEWAY_SECONDS", "nan"),
    ],
)
def test_settings_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        TokenSettings.load(LIVE | {name: value})
