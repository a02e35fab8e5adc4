"""Who is told of a call, and that being told costs nobody anything."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace

import httpx
import pytest

from service.telemetry.events import ProviderCall, Record, Telemetry, record_in_log
from service.web import Request

CALL = ProviderCall(
    request_id="r1",
    provider="openai",
    model="m",
    route="/v1/chat",
    outcome="ok",
    attempts=1,
    latency_ms=12.5,
)


def failing(call: ProviderCall) -> None:
    raise OSError(f"secret text: {call}")


def failing_to_begin(provider: str, model: str) -> Record:
    raise OSError(f"secret text: {provider} {model}")


async def nothing() -> AsyncIterator[bytes]:
    for chunk in list[bytes]():
        yield chunk


def test_all_are_told_of_a_call_when_it_is_over() -> None:
    told: list[ProviderCall] = []
    begun: list[tuple[str, str]] = []

    def begin(provider: str, model: str) -> Record:
        begun.append((provider, model))
        return told.append

    record = Telemetry(told.append, begin=[begin]).begin("openai", "m")
    assert (begun, told) == ([("openai", "m")], [])
    record(CALL)
    assert told == [CALL, CALL]


def test_one_that_cannot_be_told_keeps_nothing_from_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: list[ProviderCall] = []
    telemetry = Telemetry(failing, told.append, begin=[failing_to_begin, lambda *_: told.append])
    telemetry.begin("openai", "m")(CALL)
    assert told == [CALL, CALL]
    log = capsys.readouterr().out
    assert log.count("telemetry_failed") == 2
    assert "secret text" not in log


def test_a_throttled_request_is_told_by_its_caller_s_hash_and_begins_no_call() -> None:
    told: list[ProviderCall] = []
    telemetry = Telemetry(told.append, begin=[failing_to_begin], subject=lambda name: name[::-1])
    request = Request("POST", "http://localhost/v1/chat", httpx.Headers(), nothing(), id="r1")
    telemetry.throttled(request, "/v1/chat", "user_1")
    (call,) = told
    assert (call.outcome, call.provider, call.model, call.attempts) == ("throttled", "", "", 0)
    assert (call.request_id, call.route, call.subject) == ("r1", "/v1/chat", "1_resu")


@pytest.mark.parametrize(
    ("outcome", "event"), [("ok", "provider_call"), ("throttled", "throttled")]
)
def test_a_log_line_says_what_is_known(
    capsys: pytest.CaptureFixture[str], outcome: str, event: str
) -> None:
    call = replace(CALL, outcome=outcome)
    record_in_log(call)
    line = json.loads(capsys.readouterr().out)
    known = {name: value for name, value in asdict(call).items() if value is not None}
    assert line == {"level": "info", "event": event, **known}
