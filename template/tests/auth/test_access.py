"""Cloudflare Access: which requests are whose."""

import httpx
import pytest

from service.auth import Unauthorized
from service.auth.access import Access, AccessSettings
from service.runtime import VerifySignature
from service.settings import SettingsError
from tests.auth.issuer import Json
from tests.conftest import Env, serve
from tests.support.standins import StandinsView, credentials

HEADER = "cf-access-jwt-assertion"
TAG = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"
SERVICE = "e367826f93b8d71185e03fe518aff3b4.access"
LIVE = {"AUTH_ISSUER": "https://team.cloudflareaccess.com", "AUTH_AUDIENCE": TAG}


@pytest.fixture
def settings(standins: StandinsView) -> dict[str, str]:
    return {
        "ENVIRONMENT": "local",
        "AUTH_ISSUER": f"{standins.url}/access",
        "AUTH_AUDIENCE": TAG,
    }


@pytest.fixture
def access(
    settings: dict[str, str], http: httpx.AsyncClient, verify_signature: VerifySignature
) -> Access:
    return Access(AccessSettings.load(settings), http, verify_signature)


async def refusal(access: Access, *headers: tuple[str, str]) -> Unauthorized:
    with pytest.raises(Unauthorized) as caught:
        await access.authenticate(httpx.Headers(headers))
    return caught.value


async def assertion(standins: StandinsView, claims: Json | None = None) -> tuple[str, str]:
    return HEADER, await standins.token({"aud": [TAG], **(claims or {})})


async def test_the_assertion_names_its_subject(access: Access, standins: StandinsView) -> None:
    header = await assertion(standins, {"sub": "7335d417-61da-459d-899c-0a01c76a2f94"})
    principal = await access.authenticate(httpx.Headers([header]))
    assert principal.subject == "7335d417-61da-459d-899c-0a01c76a2f94"
    assert (principal.claims.model_extra or {})["email"] == "dev@example.com"


async def subject(access: Access, standins: StandinsView, claims: Json) -> str:
    headers = httpx.Headers([await assertion(standins, claims)])
    return (await access.authenticate(headers)).subject


async def test_a_service_token_goes_by_its_common_name(
    access: Access, standins: StandinsView
) -> None:
    claims: Json = {"sub": "", "email": None, "common_name": SERVICE}
    assert await subject(access, standins, claims) == SERVICE


@pytest.mark.parametrize("name", ["user_dev", "7335d417-61da-459d-899c-0a01c76a2f94", "a.access"])
async def test_a_certificate_s_name_is_no_user_s_and_no_service_token_s(
    name: str, access: Access, standins: StandinsView
) -> None:
    claims: Json = {"sub": "", "common_name": name}
    assert await subject(access, standins, claims) == f"certificate:{name}"
    # A user's token may have the name of a certificate as well.
    assert await subject(access, standins, {"common_name": name}) == "user_dev"


async def test_scopes_are_also_those_that_access_takes_over(
    access: Access, standins: StandinsView
) -> None:
    claims: Json = {"scope": "one", "custom": {"roles": ["two"], "permissions": ["three", 4]}}
    headers = httpx.Headers([await assertion(standins, claims)])
    assert (await access.authenticate(headers)).scopes == {"one", "two", "three"}
    headers = httpx.Headers([await assertion(standins, {"custom": "roles"})])
    assert (await access.authenticate(headers)).scopes == set()


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"aud": ["another application"]}, "another audience"),
        ({"aud": []}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"aud": [TAG, 1]}, "malformed"),
        ({"iss": "https://other.cloudflareaccess.com"}, "another issuer"),
        ({"exp": 1}, "expired"),
        ({"nbf": 9_000_000_000}, "not valid yet"),
        ({"type": "org"}, "not for an application"),
        ({"type": 1}, "not for an application"),
        ({"sub": None}, "no subject"),
        ({"sub": "", "common_name": ""}, "no subject"),
        ({"sub": "", "common_name": ["a"]}, "no subject"),
        ({"sub": SERVICE}, "a machine's"),
        ({"sub": "certificate:a"}, "a machine's"),
    ],
)
async def test_claims_that_are_refused(
    claims: Json, why: str, access: Access, standins: StandinsView
) -> None:
    error = await refusal(access, await assertion(standins, claims))
    assert why in error.description
    assert error.error == "invalid_token"


async def test_an_application_that_is_one_of_several_is_named(
    access: Access, standins: StandinsView
) -> None:
    header = await assertion(standins, {"aud": ["another", TAG]})
    assert (await access.authenticate(httpx.Headers([header]))).subject == "user_dev"


async def test_a_token_of_another_team_s_key_is_refused(
    access: Access, standins: StandinsView
) -> None:
    forged = await standins.token({"aud": [TAG]}, header={"kid": "main"}, key="other")
    assert "signature" in (await refusal(access, (HEADER, forged))).description


async def test_only_the_header_counts(access: Access, standins: StandinsView) -> None:
    _, token = await assertion(standins)
    for headers in (
        [],
        [("authorization", f"Bearer {token}")],
        [("cookie", f"CF_Authorization={token}")],
        [(HEADER, "")],
    ):
        error = await refusal(access, *headers)
        assert "did not come by Access" in error.description
        assert error.error is None


async def test_several_headers_are_refused(access: Access, standins: StandinsView) -> None:
    name, token = await assertion(standins)
    for headers in (
        [(name, token), (name, token)],
        [(name, f"{token}, {token}")],
        [(name, token), ("authorization", "Basic dTpw"), ("authorization", "Basic dTpw")],
    ):
        error = await refusal(access, *headers)
        assert "several" in error.description
        assert error.error == "invalid_token"


async def test_another_authorization_is_the_application_s_own_affair(
    access: Access, standins: StandinsView
) -> None:
    headers = [await assertion(standins), ("authorization", "Basic dTpw")]
    assert (await access.authenticate(httpx.Headers(headers))).subject == "user_dev"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_ISSUER", ""),
        ("AUTH_ISSUER", "http://team.cloudflareaccess.com"),
        ("AUTH_ISSUER", "team.cloudflareaccess.com"),
        ("AUTH_AUDIENCE", ""),
    ],
)
def test_settings_that_are_refused(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        AccessSettings.load(LIVE | {name: value})


@pytest.mark.parametrize(
    ("origin", "status"),
    [(None, 200), ("http://localhost:3000", 200), ("https://evil.example", 403), ("null", 403)],
)
async def test_another_site_cannot_act_with_the_cookie_that_access_reads(
    env: Env, standins: StandinsView, marker: str, origin: str | None, status: int
) -> None:
    body = {"messages": [{"role": "user", "content": marker}]}
    headers = credentials(await standins.token())
    headers |= {"origin": origin} if origin else {}
    async with serve(env) as service:
        answer = await service.post("/v1/chat", json=body, headers=headers)
    assert answer.status_code == status
    assert len(await standins.journal(marker, wait=0)) == (status == 200)
