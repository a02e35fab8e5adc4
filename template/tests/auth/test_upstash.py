"""Revoked tokens in Redis, over real HTTP."""

import httpx
import pytest

from service.auth.revocation import key
from tests.conftest import Env, new_name, serve
from tests.support.standins import KEY, StandinsView, credentials


async def command(standins: StandinsView, *words: object, token: str = KEY) -> httpx.Response:
    """Have Redis do something."""
    headers = {"authorization": f"Bearer {token}"}
    return await standins.http.post(f"{standins.url}/upstash", headers=headers, json=words)


async def me(client: httpx.AsyncClient, token: str) -> int:
    answer = await client.get("/v1/me", headers=credentials(token))
    return answer.status_code


@pytest.mark.parametrize("kind", ["jti", "sid"])
async def test_a_revoked_token_is_refused_at_once_until_that_is_undone(
    anyone: httpx.AsyncClient, standins: StandinsView, kind: str
) -> None:
    name = new_name()
    token, other = await standins.token({kind: name}), await standins.token({kind: new_name()})
    assert await me(anyone, token) == 200
    await command(standins, "SET", key(kind, name), "revoked", "EX", 60)
    assert await me(anyone, token) == 401
    assert await me(anyone, other) == 200
    await command(standins, "DEL", key(kind, name))
    assert await me(anyone, token) == 200


@pytest.mark.parametrize(
    "place",
    [
        "/upstash/status/500",
        "/upstash/status/302",
        "/upstash/long",
        "/upstash/text/",
        "/upstash/text/{}",
        "/upstash/text/%7B%22result%22%3A%20%220%22%7D",
        "/upstash/text/%7B%22result%22%3A%20-1%7D",
        "/upstash/text/%7B%22result%22%3A%20true%7D",
        "/upstash/text/%7B%22result%22%3A%20null%7D",
        "/nowhere",
    ],
)
@pytest.mark.parametrize("fail_open", [False, True])
async def test_an_answer_that_is_none_lets_in_nobody_unless_that_is_set(
    env: Env, standins: StandinsView, place: str, fail_open: bool
) -> None:
    changes = {"UPSTASH_REDIS_REST_URL": standins.url + place}
    async with serve(env | changes | {"REVOCATION_FAIL_OPEN": str(fail_open)}) as service:
        assert await me(service, await standins.token()) == (200 if fail_open else 503)


async def test_a_database_that_is_gone_lets_in_nobody(env: Env, standins: StandinsView) -> None:
    async with serve(env | {"UPSTASH_REDIS_REST_URL": "http://127.0.0.1:9"}) as service:
        assert await me(service, await standins.token()) == 503


async def test_a_wrong_secret_lets_in_nobody_and_is_not_told(
    env: Env, standins: StandinsView, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(env | {"UPSTASH_REDIS_REST_TOKEN": "hush-hush"}) as service:
        assert await me(service, await standins.token()) == 503
    assert "hush" not in capsys.readouterr().out


async def test_the_stand_in_forgets_what_expired(standins: StandinsView) -> None:
    name = new_name()
    await command(standins, "SET", name, "revoked", "EX", 0)
    assert (await command(standins, "EXISTS", name)).json() == {"result": 0}


async def test_the_stand_in_refuses_what_the_original_does(standins: StandinsView) -> None:
    assert (await command(standins, "EXISTS", "k", token="other")).status_code == 401  # noqa: S106
    assert (await command(standins, "EXPLODE")).status_code == 400
