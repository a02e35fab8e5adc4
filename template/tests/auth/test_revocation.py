"""What of a token is asked of the revocation store, and what its answers and silences mean."""

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.auth import Unauthorized
from service.auth.jwt import Claims
from service.auth.revocation import (
    Revocation,
    RevocationSettings,
    RevocationUnavailable,
    key,
    revocation_keys,
)
from service.settings import SettingsError
from tests.conftest import Env, new_name, serve
from tests.support.standins import StandinsView, credentials


class Holding:
    """Holds these keys."""

    def __init__(self, *keys: str) -> None:
        self.keys = set(keys)

    async def holds(self, keys: Sequence[str]) -> bool:
        return not self.keys.isdisjoint(keys)


class Failing:
    async def holds(self, keys: Sequence[str]) -> bool:
        raise OSError(f"secret text: {keys}")


class Hanging:
    async def holds(self, keys: Sequence[str]) -> bool:
        return len(keys) == await asyncio.Future()


SILENT = [pytest.param(Failing(), id="fails"), pytest.param(Hanging(), id="hangs")]


def claims(**others: object) -> Claims:
    return Claims.model_validate({"iss": "https://issuer.example", "exp": 2e9, **others})


def revocation(store: object, **env: str) -> Revocation:
    assert isinstance(store, Holding | Failing | Hanging)
    return Revocation(RevocationSettings.load(env), store, timeout=0.01)


@pytest.mark.parametrize(
    ("claim", "kind"),
    [("jti", "jti"), ("uti", "jti"), ("sid", "sid"), ("identity_nonce", "sid")],
)
async def test_a_token_is_refused_by_its_own_id_and_by_its_session_s_with_a_double_for_the_store(
    claim: str, kind: str
) -> None:
    store = Holding(key(kind, "id-1"))
    with pytest.raises(Unauthorized) as caught:
        await revocation(store).check(claims(**{claim: "id-1"}))
    assert caught.value.error == "invalid_token"
    await revocation(store).check(claims(**{claim: "id-2"}))


async def test_a_session_s_id_is_no_token_s_with_a_double_for_the_store() -> None:
    await revocation(Holding(key("jti", "id-1"))).check(claims(sid="id-1", jti="id-2"))


@pytest.mark.parametrize("others", [{}, {"jti": ""}, {"sid": 7}, {"jti": None}, {"sub": "user_1"}])
async def test_a_token_that_could_never_be_revoked_is_refused_with_a_double_for_the_store(
    others: dict[str, object],
) -> None:
    with pytest.raises(Unauthorized, match="no id to revoke it by"):
        await revocation(Holding()).check(claims(**others))


@pytest.mark.parametrize("store", SILENT)
async def test_a_silent_store_lets_nobody_in_with_a_double_for_it(store: object) -> None:
    with pytest.raises(RevocationUnavailable):
        await revocation(store).check(claims(jti="id-1"))


@pytest.mark.parametrize("store", SILENT)
async def test_a_silent_store_lets_all_in_where_that_is_set_with_a_double_for_it(
    store: object, capsys: pytest.CaptureFixture[str]
) -> None:
    await revocation(store, REVOCATION_FAIL_OPEN="true").check(claims(jti="id-1"))
    log = capsys.readouterr().out
    assert '"event": "revocation_failed"' in log
    assert "secret text" not in log


async def test_what_is_revoked_stays_so_where_it_fails_open_with_a_double_for_the_store() -> None:
    store = Holding(key("jti", "id-1"))
    with pytest.raises(Unauthorized):
        await revocation(store, REVOCATION_FAIL_OPEN="true").check(claims(jti="id-1"))


def test_how_it_fails_is_yes_or_no() -> None:
    with pytest.raises(SettingsError, match="REVOCATION_FAIL_OPEN is malformed"):
        RevocationSettings.load({"REVOCATION_FAIL_OPEN": "perhaps"})


@given(st.lists(st.text(), min_size=2, max_size=2, unique=True))
def test_any_id_has_a_short_key_of_its_own(ids: list[str]) -> None:
    one, other = (key("jti", each) for each in ids)
    assert one != other
    assert one.isascii()
    assert len(one) <= 512  # bytes, KV's limit


@given(st.dictionaries(st.sampled_from(["jti", "uti", "sid", "identity_nonce"]), st.text()))
def test_each_id_of_a_token_is_asked_for(ids: dict[str, str]) -> None:
    assert len(revocation_keys(claims(**ids))) == sum(map(bool, ids.values()))


async def test_where_the_store_is_down_a_forged_token_is_refused_for_its_signature(
    env: Env, standins: StandinsView
) -> None:
    down = {"REVOKED": object(), "UPSTASH_REDIS_REST_URL": f"{standins.url}/nowhere"}
    async with serve(env | down) as service:
        for key_name, status in {"main": 503, "other": 401}.items():
            token = await standins.token(key=key_name)
            answer = await service.get("/v1/me", headers=credentials(token))
            assert answer.status_code == status


async def test_a_token_without_an_id_is_refused_by_the_service(
    anyone: httpx.AsyncClient, standins: StandinsView
) -> None:
    ids = dict.fromkeys(("jti", "sid", "identity_nonce"))
    token = await standins.token({"sub": new_name(), **ids})
    answer = await anyone.get("/v1/me", headers=credentials(token))
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
