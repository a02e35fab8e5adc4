"""Revoked tokens in KV, as a caller of the service sees it.

Over HTTP they are not seen here: no test can write to the KV of the Worker that is served.
"""

import pytest

from service.auth.revocation import key
from service.settings import binding
from tests.conftest import Env, new_name, serve
from tests.support.standins import StandinsView, credentials


@pytest.mark.parametrize("kind", ["jti", "sid"])
async def test_what_is_put_into_the_namespace_is_refused(
    env: Env, standins: StandinsView, kind: str
) -> None:
    revoked, good = new_name(), new_name()
    await binding(env, "REVOKED").put(key(kind, revoked), "revoked")
    async with serve(env) as service:
        for name, status in {revoked: 401, good: 200}.items():
            token = await standins.token({kind: name})
            headers = credentials(token)
            answer = await service.get("/v1/me", headers=headers)
            assert answer.status_code == status


class Failing:
    async def get(self, key: str, /) -> str | None:
        raise OSError(f"secret text: {key}")


async def test_a_namespace_that_fails_is_no_fault_of_the_token_with_a_double_for_it(
    env: Env, standins: StandinsView
) -> None:
    async with serve(env | {"REVOKED": Failing()}) as service:
        headers = credentials(await standins.token())
        answer = await service.get("/v1/me", headers=headers)
    assert answer.status_code == 503
    assert answer.json()["detail"] == "Tokens cannot be verified at the moment."
