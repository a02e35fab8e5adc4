"""What the Worker does by the clock."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest

from service.maintenance import Maintenance, MaintenanceError, maintenance
from tests.conftest import TRIGGERED_AT, WAYS, Env, served_at, service_context
from tests.support.choices import PROVIDERS, variable

STRIKE = "/cdn-cgi/local/scheduled"
"""Where the local server runs the scheduled handler, as `wrangler dev` does."""


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
async def maintain(env: Env) -> AsyncIterator[Maintenance]:
    """What the service of a complete environment does."""
    async with service_context(env) as context:
        yield context.get(maintenance)


@pytest.fixture(params=WAYS)
async def strike(
    request: pytest.FixtureRequest, maintain: Maintenance
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Has the clock strike."""
    if request.param == "in-process":
        yield maintain.run
        return
    async with served_at(TRIGGERED_AT) as worker:

        async def ask() -> None:
            assert (await worker.get(STRIKE)).text == "ok"

        yield ask


async def test_a_configured_service_has_nothing_to_complain_of(
    strike: Callable[[], Awaitable[None]],
) -> None:
    await strike()


async def test_each_task_has_a_line_of_its_own_under_one_id(
    maintain: Maintenance, capsys: pytest.CaptureFixture[str]
) -> None:
    await maintain.run()
    told = lines(capsys)
    assert {line["event"] for line in told} == {"maintenance"}
    assert "settings" in [line["task"] for line in told]
    (run,) = {line["request_id"] for line in told}
    assert run.startswith("cron_")


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_setting_that_is_missing_is_named_before_a_chat_needs_it(
    env: Env, provider: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = variable(provider, "API_KEY")
    async with service_context({**env, name: ""}) as context:
        with pytest.raises(MaintenanceError, match=r"^settings$"):
            await context.get(maintenance).run()
    (failure,) = [line for line in lines(capsys) if line["event"] == "maintenance_failed"]
    assert failure["level"] == "error"
    assert name in failure["settings"]


async def test_a_task_that_fails_stops_no_other_and_shows_nothing_of_its_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done: list[str] = []

    async def fail() -> Mapping[str, object]:
        raise ValueError("a secret")

    async def work() -> Mapping[str, object]:
        done.append("worked")
        return {"count": 3}

    with pytest.raises(MaintenanceError, match=r"^first, third$"):
        await Maintenance({"first": fail, "second": work, "third": fail}).run()
    assert done == ["worked"]
    printed = capsys.readouterr().out
    assert "a secret" not in printed
    assert '"count": 3' in printed
