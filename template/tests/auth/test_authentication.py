"""Authentication, as a caller of the service sees it."""

from typing import Any

import httpx
import pytest

from tests.conftest import Env, new_name, serve
from tests.support.standins import StandinsView, credentials

ROUTES = [("GET", "/v1/me"), ("POST", "/v1/chat")]


async def test_me_is_the_verified_subject(
    anyone: httpx.AsyncClient, standins: StandinsView
) -> None:
    subject = new_name()
    token = await standins.token({"sub": subject})
    answer = await anyone.get("/v1/me", headers=credentials(token))
    assert (answer.status_code, answer.json()) == (200, {"subject": subject})


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_without_credentials(anyone: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await anyone.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "order",
    [
        pytest.param({"claims": {"exp": 1}}, id="expired"),
        pytest.param({"claims": {"iss": "https://elsewhere.example"}}, id="another issuer"),
        pytest.param({"claims": {"aud": "elsewhere"}}, id="another audience"),
        pytest.param({"claims": {"sub": None}}, id="nobody"),
        pytest.param({"key": "other"}, id="an unknown key"),
        pytest.param({"key": "ES256"}, id="another algorithm"),
        pytest.param({"key": "none"}, id="unsigned"),
        pytest.param({"key": "hmac"}, id="signed with the public key"),
    ],
)
async def test_a_token_that_is_not_to_be_believed(
    anyone: httpx.AsyncClient, standins: StandinsView, order: dict[str, Any]
) -> None:
    token = await standins.token(**order)
    answer = await anyone.get("/v1/me", headers=credentials(token))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert token not in answer.text


async def test_several_authorization_headers(
    anyone: httpx.AsyncClient, standins: StandinsView
) -> None:
    good = [*credentials(await standins.token()).items()]
    answer = await anyone.get(
        "/v1/me", headers=[*good, ("authorization", "Basic dTpw"), ("authorization", "Basic dTpw")]
    )
    assert answer.status_code == 401
    assert "several Authorization headers" in answer.text


async def test_a_bad_token_reaches_no_provider(
    anyone: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    token = await standins.token({"exp": 1})
    answer = await anyone.post(
        "/v1/chat",
        json={"messages": [{"role": "user", "content": marker}]},
        headers=credentials(token),
    )
    assert answer.status_code == 401
    assert await standins.journal(marker) == []


async def test_an_issuer_that_is_down_is_no_fault_of_the_token(
    env: Env, standins: StandinsView
) -> None:
    async with serve(env | {"AUTH_JWKS_URL": f"{standins.url}/nowhere"}) as service:
        headers = credentials(await standins.token())
        answer = await service.get("/v1/me", headers=headers)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "10"
