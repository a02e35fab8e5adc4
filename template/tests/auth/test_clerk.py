"""Clerk: which requests are whose."""

import time
from typing import Any

import httpx
import pytest

from service.auth import Unauthorized
from service.auth.clerk import Clerk, ClerkSettings
from service.auth.fetched import KeysUnavailable
from service.runtime import VerifySignature
from service.settings import SettingsError
from tests.auth.issuer import Json, KeyServer
from tests.conftest import Env, serve
from tests.support.standins import AUTHORIZED_PARTY, StandinsView

LOCAL = {"ENVIRONMENT": "local"}
LIVE = {
    "AUTH_ISSUER": "https://clerk.example.com",
    "AUTH_AUTHORIZED_PARTIES": "https://app.example.com",
}


@pytest.fixture
def settings(standins: StandinsView) -> dict[str, str]:
    return LOCAL | {
        "AUTH_ISSUER": f"{standins.url}/clerk",
        "AUTH_AUTHORIZED_PARTIES": AUTHORIZED_PARTY,
    }


@pytest.fixture
def clerk(
    settings: dict[str, str], http: httpx.AsyncClient, verify_signature: VerifySignature
) -> Clerk:
    return Clerk(ClerkSettings.load(settings), http, verify_signature)


async def refusal(clerk: Clerk, *headers: tuple[str, str]) -> Unauthorized:
    with pytest.raises(Unauthorized) as caught:
        await clerk.authenticate(httpx.Headers(headers))
    return caught.value


async def subject(clerk: Clerk, *headers: tuple[str, str]) -> str:
    return (await clerk.authenticate(httpx.Headers(headers))).subject


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
async def test_a_bearer_token_names_its_subject(
    scheme: str, clerk: Clerk, standins: StandinsView
) -> None:
    token = await standins.token({"sub": "user_1", "sid": "sess_1"})
    principal = await clerk.authenticate(httpx.Headers({"authorization": f"{scheme}{token}"}))
    assert principal.subject == "user_1"
    assert (principal.claims.model_extra or {})["sid"] == "sess_1"


@pytest.mark.parametrize(
    "cookies",
    [
        "__session={}",
        "a=b; __session={}; c=d",
        "__session={};__client_uat=1",
        "__session=; __session={}",
    ],
)
async def test_a_session_cookie_names_its_subject(
    cookies: str, clerk: Clerk, standins: StandinsView
) -> None:
    token = await standins.token({"sub": "user_1"})
    assert await subject(clerk, ("cookie", cookies.format(token))) == "user_1"


async def test_the_bearer_token_comes_before_cookies(clerk: Clerk, standins: StandinsView) -> None:
    one, other = await standins.token({"sub": "user_1"}), await standins.token({"sub": "user_2"})
    cookie = ("cookie", f"__session={other}")
    assert await subject(clerk, ("authorization", f"Bearer {one}"), cookie) == "user_1"
    assert await subject(clerk, ("authorization", "Bearer"), cookie) == "user_2"
    assert (
        "not have three parts"
        in (await refusal(clerk, ("authorization", "Bearer x"), cookie)).description
    )


async def test_of_session_cookies_the_issuer_s_newest_counts(
    clerk: Clerk, standins: StandinsView
) -> None:
    now = int(time.time())
    old = await standins.token({"sub": "user_1", "iat": now - 50})
    new = await standins.token({"sub": "user_2", "iat": now - 5})
    foreign = await standins.token({"iss": "https://other.example.com", "iat": now})
    for cookies in (
        f"__session={old}; __session={new}",
        f"__session={new}; __session={old}",
        f"__session={old}; __session_Xq3-_aB9={new}",
        f"__session_Xq3-_aB9={old}; __session={new}",
        f"__session={foreign}; __session_Xq3-_aB9={new}",
        f"__session=garbage; __session_Xq3-_aB9={new}",
        f"__session=a.b.c; __session_Xq3-_aB9={new}",
    ):
        assert await subject(clerk, ("cookie", cookies)) == "user_2"
    assert await subject(clerk, ("cookie", f"__session={old}"), ("cookie", f"__session={new}"))
    error = await refusal(clerk, ("cookie", f"__session={foreign}"))
    assert "another issuer" in error.description


async def test_several_authorization_headers_are_refused(
    clerk: Clerk, standins: StandinsView
) -> None:
    bearer = f"Bearer {await standins.token()}"
    for headers in (
        [("authorization", bearer), ("authorization", bearer)],
        [("authorization", f"{bearer}, {bearer}")],
        [("authorization", f"Basic dTpw, {bearer}")],
        [("authorization", f"{bearer},")],
    ):
        error = await refusal(clerk, *headers)
        assert "several Authorization headers" in error.description
        assert error.error == "invalid_token"


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([], id="nothing"),
        pytest.param([("authorization", "Basic dTpw")], id="another scheme"),
        pytest.param([("authorization", "")], id="an empty header"),
        pytest.param([("cookie", "session=abc; __sessions=abc")], id="other cookies"),
        pytest.param([("cookie", "__session=")], id="signed out"),
    ],
)
async def test_a_request_without_credentials_is_told_no_error(
    headers: list[tuple[str, str]], clerk: Clerk
) -> None:
    error = await refusal(clerk, *headers)
    assert error.error is None
    assert error.headers["www-authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "malformed"),
        ({"nbf": 9_000_000_000}, "not valid yet"),
        ({"iss": "https://clerk.example"}, "another issuer"),
        ({"azp": "http://localhost:3001"}, "another party"),
        ({"azp": None}, "another party"),
        ({"aud": "api"}, "another audience"),
        ({"sub": None}, "no subject"),
        ({"sub": ""}, "no subject"),
        ({"sts": "pending"}, "not active"),
        ({"sts": "surprise"}, "not active"),
        ({"sts": 1}, "not active"),
    ],
)
async def test_claims_that_are_refused(
    claims: Json, why: str, clerk: Clerk, standins: StandinsView
) -> None:
    token = await standins.token(claims)
    error = await refusal(clerk, ("authorization", f"Bearer {token}"))
    assert why in error.description
    assert error.headers["www-authenticate"] == (
        f'Bearer realm="api", error="invalid_token", error_description="{error.description}"'
    )


async def token_of_category(category: str | None, claims: Json, standins: StandinsView) -> str:
    return f"Bearer {await standins.token(claims, {'cat': category})}"


async def test_a_token_that_is_not_a_session_s_is_refused(
    clerk: Clerk, standins: StandinsView
) -> None:
    for category in (None, "cl_B7d4PD111AAA", "cl_I7d4PD111III"):
        bearer = await token_of_category(category, {}, standins)
        assert await subject(clerk, ("authorization", bearer)) == "user_dev"
        machine = await token_of_category(category, {"sub": "mch_1"}, standins)
        assert "a session's" in (await refusal(clerk, ("authorization", machine))).description
    for category in ("cl_B7d4PD222AAA", "cl_B7d4PD333AAA", "surprise"):
        bearer = await token_of_category(category, {}, standins)
        assert "a session's" in (await refusal(clerk, ("authorization", bearer))).description


async def test_a_template_s_token_is_for_its_audience_alone(
    settings: dict[str, str],
    standins: StandinsView,
    http: httpx.AsyncClient,
    verify_signature: VerifySignature,
) -> None:
    with_audience = ClerkSettings.load(settings | {"AUTH_AUDIENCE": "api"})
    clerk = Clerk(with_audience, http, verify_signature)
    for_us = await token_of_category("cl_B7d4PD222AAA", {"aud": "api"}, standins)
    assert await subject(clerk, ("authorization", for_us)) == "user_dev"
    for category, audience in (("cl_B7d4PD222AAA", "web"), ("cl_B7d4PD333AAA", "api")):
        bearer = await token_of_category(category, {"aud": audience}, standins)
        await refusal(clerk, ("authorization", bearer))


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({}, set()),
        ({"roles": ["editor"], "permissions": ["chat"]}, {"editor", "chat"}),
        # The example of https://clerk.com/docs/guides/sessions/session-tokens.
        (
            {
                "fea": "o:dashboard,o:teams",
                "o": {"rol": "admin", "per": "manage,read", "fpm": "3,2"},
            },
            {"org:admin", "org:dashboard:manage", "org:dashboard:read", "org:teams:read"},
        ),
        (
            {"fea": "u:mine, uo:both,o:ours", "o": {"per": "a,b,c", "fpm": "4,1"}},
            {"org:both:c", "org:ours:a"},
        ),
        ({"fea": "o:a", "o": {"rol": "member"}}, {"org:member"}),
        ({"fea": "o:a", "o": {"per": "x", "fpm": "-1,+1,x, ,99"}}, set()),
        ({"fea": 1, "o": {"rol": 1, "per": 1, "fpm": 1}}, set()),
        ({"o": "org"}, set()),
        # A version's claims are nothing in the other, where anybody may have configured them.
        ({"org_role": "org:admin", "org_permissions": ["org:a:b"]}, set()),
        ({"v": None, "o": {"rol": "admin"}}, set()),
        (
            {"v": None, "org_role": "org:admin", "org_permissions": ["org:a:b"]},
            {"org:admin", "org:a:b"},
        ),
    ],
)
async def test_scopes_are_also_what_the_organization_allows(
    claims: Json, scopes: set[str], clerk: Clerk, standins: StandinsView
) -> None:
    headers = httpx.Headers({"authorization": f"Bearer {await standins.token(claims)}"})
    assert (await clerk.authenticate(headers)).scopes == scopes


async def test_a_token_of_the_first_version_has_no_status(
    clerk: Clerk, standins: StandinsView
) -> None:
    token = await standins.token({"sts": None, "v": None})
    assert await subject(clerk, ("authorization", f"Bearer {token}")) == "user_dev"


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"key": "other"}, "not one of the issuer's"),
        ({"key": "other", "header": {"kid": "main"}}, "signature"),
        ({"key": "small", "header": {"kid": "main"}}, "signature"),
        ({"key": "hmac"}, "algorithm"),
        ({"key": "hmac", "header": {"alg": "RS256"}}, "signature"),
        ({"key": "none"}, "base64url"),
        ({"header": {"crit": ["exp"]}}, "parameter"),
    ],
)
async def test_forgeries_are_refused(
    order: dict[str, Any], why: str, clerk: Clerk, standins: StandinsView
) -> None:
    token = await standins.token(**order)
    error = await refusal(clerk, ("cookie", f"__session={token}"))
    assert why in error.description
    assert error.error == "invalid_token"


@pytest.mark.parametrize("text", ["", "abc", "a.b.c", '".".', "null", "Bearer"])
async def test_what_is_no_token_is_refused(text: str, clerk: Clerk) -> None:
    error = await refusal(clerk, ("authorization", f"Bearer {text}"))
    assert error.error == "invalid_token"


async def test_an_audience_may_stand_for_the_parties(
    standins: StandinsView, http: httpx.AsyncClient, verify_signature: VerifySignature
) -> None:
    settings = LOCAL | {"AUTH_ISSUER": f"{standins.url}/clerk", "AUTH_AUDIENCE": "api"}
    clerk = Clerk(ClerkSettings.load(settings), http, verify_signature)
    native = await standins.token({"aud": ["api"], "azp": None})
    assert await subject(clerk, ("authorization", f"Bearer {native}")) == "user_dev"
    error = await refusal(clerk, ("authorization", f"Bearer {await standins.token()}"))
    assert "another audience" in error.description


async def test_without_keys_only_bad_tokens_are_refused(
    settings: dict[str, str],
    key_server: KeyServer,
    standins: StandinsView,
    http: httpx.AsyncClient,
    verify_signature: VerifySignature,
) -> None:
    elsewhere = ClerkSettings.load(settings | {"AUTH_JWKS_URL": key_server.jwks_url})
    clerk = Clerk(elsewhere, http, verify_signature)
    await key_server.serve(status=503)
    for claims in ({"exp": 1}, {"sts": "pending"}, {"azp": "https://evil.example"}):
        token = await standins.token(claims)
        await refusal(clerk, ("authorization", f"Bearer {token}"))
    assert await key_server.hits() == 0
    good = httpx.Headers({"authorization": f"Bearer {await standins.token()}"})
    with pytest.raises(KeysUnavailable):
        await clerk.authenticate(good)
    await key_server.serve("main")
    assert (await clerk.authenticate(good)).subject == "user_dev"


async def test_the_clock_is_the_caller_s(
    settings: dict[str, str],
    standins: StandinsView,
    http: httpx.AsyncClient,
    verify_signature: VerifySignature,
) -> None:
    later = time.time() + 3600
    clerk = Clerk(ClerkSettings.load(settings), http, verify_signature, clock=lambda: later)
    error = await refusal(clerk, ("authorization", f"Bearer {await standins.token()}"))
    assert "expired" in error.description


def test_an_issuer_has_no_slash_at_its_end() -> None:
    settings = ClerkSettings.load(LIVE | {"AUTH_ISSUER": "https://clerk.example.com/"})
    assert settings.issuer == "https://clerk.example.com"


def test_authorized_parties_are_origins_between_commas() -> None:
    both = {"AUTH_AUTHORIZED_PARTIES": "https://a.example.com , https://b.example.com:8443/"}
    parties = ClerkSettings.load(LIVE | both).authorized_parties
    assert parties == frozenset({"https://a.example.com", "https://b.example.com:8443"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_ISSUER", ""),
        ("AUTH_ISSUER", "clerk.example.com"),
        ("AUTH_ISSUER", "http://clerk.example.com"),
        ("AUTH_AUTHORIZED_PARTIES", ""),
        ("AUTH_AUTHORIZED_PARTIES", " "),
        ("AUTH_AUTHORIZED_PARTIES", ","),
        ("AUTH_AUTHORIZED_PARTIES", "*"),
        ("AUTH_AUTHORIZED_PARTIES", "https://*"),
        ("AUTH_AUTHORIZED_PARTIES", "https://*.example.com"),
        ("AUTH_AUTHORIZED_PARTIES", "https://App.example.com"),
        ("AUTH_AUTHORIZED_PARTIES", "https://app.example.com/path"),
        ("AUTH_AUTHORIZED_PARTIES", "https://app.example.com,"),
        ("AUTH_AUTHORIZED_PARTIES", "https://app.example.com https://b.example.com"),
        ("AUTH_AUTHORIZED_PARTIES", "http://app.example.com"),
        ("AUTH_AUTHORIZED_PARTIES", "http://localhost:3000"),
    ],
)
def test_settings_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        ClerkSettings.load(LIVE | {name: value})


def test_either_parties_or_an_audience_must_be_set() -> None:
    issuer = {"AUTH_ISSUER": "https://clerk.example.com"}
    with pytest.raises(SettingsError, match=r"origins, .* or set AUTH_AUDIENCE"):
        ClerkSettings.load(issuer)
    assert ClerkSettings.load(issuer | {"AUTH_AUDIENCE": "api"}).authorized_parties is None


def test_a_front_end_on_this_machine_is_for_local_runs_only() -> None:
    local = LIVE | LOCAL | {"AUTH_AUTHORIZED_PARTIES": AUTHORIZED_PARTY}
    assert ClerkSettings.load(local).authorized_parties == frozenset({AUTHORIZED_PARTY})


async def test_the_service_takes_the_session_cookie_as_well(
    anyone: httpx.AsyncClient, standins: StandinsView
) -> None:
    answer = await anyone.get("/v1/me", headers={"cookie": f"__session={await standins.token()}"})
    assert answer.status_code == 200


async def test_the_authorized_parties_may_call_from_a_browser() -> None:
    live = {"ENVIRONMENT": "production", **LIVE}
    other = "https://other.example.com"
    for env, allowed in (
        (live, "https://app.example.com"),
        (live | {"CORS_ORIGINS": other}, other),
        (live | {"AUTH_AUTHORIZED_PARTIES": "", "AUTH_AUDIENCE": "api"}, None),
    ):
        async with serve(env) as service:
            for origin in ("https://app.example.com", other):
                answer = await service.get("/v1/me", headers={"origin": origin})
                assert answer.status_code == 401
                shared = answer.headers.get("access-control-allow-origin")
                assert shared == (origin if origin == allowed else None)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        (AUTHORIZED_PARTY, 200),
        ("http://localhost", 200),  # the service's own, in this test
        ("https://evil.example", 403),
        ("https://sibling.example.com", 403),
        ("null", 403),
    ],
)
async def test_another_site_cannot_act_with_the_session_cookie(
    env: Env, standins: StandinsView, marker: str, origin: str | None, status: int
) -> None:
    body = {"messages": [{"role": "user", "content": marker}]}
    headers = {"cookie": f"__session={await standins.token()}"}
    headers |= {"origin": origin} if origin else {}
    async with serve(env) as service:
        answer = await service.post("/v1/chat", json=body, headers=headers)
        assert answer.status_code == status
        assert len(await standins.journal(marker, wait=0)) == (status == 200)
        # What only reads is answered, and the browser keeps it from the page.
        answer = await service.get("/v1/me", headers=headers)
        assert answer.status_code == 200
        shared = answer.headers.get("access-control-allow-origin")
        assert shared == (origin if status == 200 else None)


async def test_a_bearer_token_acts_from_anywhere(
    env: Env, standins: StandinsView, marker: str
) -> None:
    body = {"messages": [{"role": "user", "content": marker}]}
    headers = {
        "authorization": f"Bearer {await standins.token()}",
        "origin": "capacitor://localhost",
    }
    async with serve(env) as service:
        assert (await service.post("/v1/chat", json=body, headers=headers)).status_code == 200
