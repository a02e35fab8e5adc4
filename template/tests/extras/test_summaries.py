"""Summaries, by a double of the workflow, and by the real one where the Worker is served."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.providers.base import OverloadedError
from service.summaries import CHUNK_CHARS, FinalError, Summaries, chunks
from service.summaries import summaries as build
from tests.conftest import SERVED_AT, Env, new_address, serve, service_context
from tests.support.choices import PROVIDERS, variable
from tests.support.clients import answer_when
from tests.support.standins import StandinsView
from tests.support.workflows import MemorySteps, MemoryWorkflow

LONG = "word " * (3 * CHUNK_CHARS // 5)
ID = "0123456789abcdef-0123456789abcdef0123456789abcdef"


@pytest.fixture
def workflow() -> MemoryWorkflow:
    return MemoryWorkflow()


@pytest.fixture
def env(env: Env, workflow: MemoryWorkflow) -> Env:
    """A complete environment, with the double."""
    return {**env, "SUMMARIES": workflow}


@pytest.fixture
async def anyone(env: Env) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service in this process: over HTTP there is no double to look into."""
    async with serve(env) as client:
        client.headers["cf-connecting-ip"] = new_address()
        yield client


@pytest.fixture
async def summaries(env: Env) -> AsyncIterator[Summaries]:
    """What the workflow runs."""
    async with service_context(env) as context:
        yield context.get(build)


def params(text: str, **changes: Any) -> dict[str, Any]:
    return {"text": text, "provider": PROVIDERS[0], "caller": "somebody", **changes}


async def start(client: httpx.AsyncClient, text: str) -> str:
    """Have a summary made; its id."""
    answer = await client.post("/v1/summaries", json={"text": text})
    assert answer.status_code == 202
    assert answer.json()["status"] == "queued"
    return str(answer.json()["id"])


async def test_with_a_double_a_summary_is_started_looked_at_and_had(
    client: httpx.AsyncClient, workflow: MemoryWorkflow, summaries: Summaries, marker: str
) -> None:
    summary_id = await start(client, f"A text. {marker}")
    instance = workflow.instances[summary_id]
    instance.state = {"status": "running"}
    answer = await client.get(f"/v1/summaries/{summary_id}")
    assert answer.json() == {"id": summary_id, "status": "running"}

    output = await summaries.run(summary_id, instance.params, MemorySteps())
    instance.state = {"status": "complete", "output": output}
    answer = await client.get(f"/v1/summaries/{summary_id}")
    assert answer.json()["summary"] == f"You said: A text. {marker}"


async def test_with_a_double_a_failed_summary_says_no_more_than_that(
    client: httpx.AsyncClient, workflow: MemoryWorkflow
) -> None:
    summary_id = await start(client, "A text.")
    workflow.instances[summary_id].state = {"status": "errored", "error": {"message": "secret"}}
    answer = await client.get(f"/v1/summaries/{summary_id}")
    assert answer.json() == {"id": summary_id, "status": "errored"}


if SERVED_AT:

    async def test_the_workflow_finishes(served: httpx.AsyncClient, marker: str) -> None:
        path = f"/v1/summaries/{await start(served, f'A text. {marker}')}"
        answer = await answer_when(served, path, lambda answer: "summary" in answer.json())
        assert answer.json()["status"] == "complete"
        assert answer.json()["summary"] == f"You said: A text. {marker}"


@pytest.mark.parametrize("summary_id", [ID, "x", "..", "a-b"])
async def test_with_a_double_what_nobody_started_is_not_there(
    client: httpx.AsyncClient, summary_id: str
) -> None:
    assert (await client.get(f"/v1/summaries/{summary_id}")).status_code == 404


async def test_with_a_double_what_the_platform_has_forgotten_is_not_there(
    client: httpx.AsyncClient, workflow: MemoryWorkflow
) -> None:
    summary_id = await start(client, "A text.")
    workflow.instances.clear()
    assert (await client.get(f"/v1/summaries/{summary_id}")).status_code == 404


async def test_with_a_double_that_is_down_the_service_says_so(
    client: httpx.AsyncClient, workflow: MemoryWorkflow
) -> None:
    summary_id = await start(client, "A text.")
    workflow.is_down = True
    for answer in (
        await client.post("/v1/summaries", json={"text": "A text."}),
        await client.get(f"/v1/summaries/{summary_id}"),
    ):
        assert answer.status_code == 503
        assert answer.json()["detail"] == "Summaries cannot be made at the moment."


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": 1},
        {"text": "a\0b"},
        {"text": "x" * 200_001},
        {"text": "x", "provider": "nobody"},
        {"text": "x", "more": 1},
    ],
)
async def test_what_cannot_be_summarised_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any]
) -> None:
    assert (await client.post("/v1/summaries", json=body)).status_code == 422


async def test_with_double_steps_a_long_text_is_summarised_in_parts_and_those_together(
    summaries: Summaries,
) -> None:
    steps = MemorySteps()
    output = await summaries.run(ID, params(LONG), steps)
    names = list(steps.results)
    assert names[:3] == [f"level 1, part {number} of 3" for number in (1, 2, 3)]
    assert names[-1].endswith("part 1 of 1")
    assert output == {"summary": steps.results[names[-1]]}


async def test_with_double_steps_what_was_done_is_not_done_again(
    summaries: Summaries, standins: StandinsView, marker: str
) -> None:
    steps = MemorySteps()
    steps.results["level 1, part 1 of 1"] = "Done before."
    output = await summaries.run(ID, params(marker), steps)
    assert output == {"summary": "Done before."}
    assert await standins.journal(marker) == []


@pytest.mark.parametrize(
    ("model", "error"), [("standin-400", FinalError), ("standin-503", OverloadedError)]
)
async def test_with_double_steps_only_what_may_pass_is_to_be_repeated(
    env: Env, model: str, error: type[Exception]
) -> None:
    async with service_context({**env, variable(PROVIDERS[0], "MODEL"): model}) as context:
        with pytest.raises(error):
            await context.get(build).run(ID, params("A text."), MemorySteps())


@given(text=st.text(st.characters() | st.sampled_from("\n ")), most=st.integers(2, 50))
def test_chunks_are_the_text_in_pieces_that_fit(text: str, most: int) -> None:
    pieces = chunks(text, most)
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= most for piece in pieces) or text == ""


def test_a_text_is_cut_where_it_breaks_by_itself() -> None:
    assert chunks("aaaa bbb\n\ncccc dddd", 12) == ["aaaa bbb\n\n", "cccc dddd"]
    assert chunks("aaaa bbb cccc", 10) == ["aaaa bbb ", "cccc"]
    assert chunks("aaaaaaaaaaaa", 5) == ["aaaaa", "aaaaa", "aa"]
