"""Callers' hashes."""

import json
import re
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.telemetry.subjects import SubjectSettings, keyed
from tests.conftest import Env, new_name, serve
from tests.support.standins import StandinsView, credentials

CALLER = st.text(min_size=1)


def hash_with(key: str, caller: str) -> str | None:
    return keyed(SubjectSettings.load({"TELEMETRY_HASH_KEY": key}))(caller)


@given(caller=CALLER)
def test_a_caller_has_one_hash_that_does_not_show_them(caller: str) -> None:
    first, again = (hash_with("key", caller) for _ in range(2))
    assert first == again
    assert first
    assert re.fullmatch("[0-9a-f]{32}", first)


@given(caller=CALLER, other=CALLER)
def test_two_callers_have_two_hashes(caller: str, other: str) -> None:
    assert (hash_with("key", caller) == hash_with("key", other)) is (caller == other)


def test_another_deployment_s_key_gives_another_hash() -> None:
    assert hash_with("key", "user_1") != hash_with("another key", "user_1")


def test_it_is_hmac_as_rfc_4231_has_it() -> None:
    assert hash_with("Jefe", "what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7"


def test_without_a_key_nobody_is_told_from_anybody() -> None:
    digest = keyed(SubjectSettings.load({}))
    assert {digest("user_1"), digest("user_2")} == {None}


async def test_a_call_is_told_with_its_caller_s_hash_and_not_with_their_name(
    anyone: httpx.AsyncClient,
    standins: StandinsView,
    env: Env,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = new_name()
    anyone.headers.update(credentials(await standins.token({"sub": name})))
    async with serve(env | {"TELEMETRY_HASH_KEY": "of this test"}) as service:
        service.headers.update(anyone.headers)
        body: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
        assert (await service.post("/v1/chat", json=body)).status_code == 200
    printed = capsys.readouterr().out
    told = [json.loads(line) for line in printed.splitlines()]
    (call,) = [line for line in told if line["event"] == "provider_call"]
    assert call["subject"] == hash_with("of this test", name)
    assert name not in printed
    assert "of this test" not in printed
