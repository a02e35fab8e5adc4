"""A summary is its caller's alone; with a double of the workflow."""

from tests.conftest import Env, new_name, serve
from tests.support.standins import StandinsView, credentials
from tests.support.workflows import MemoryWorkflow


async def test_with_a_double_another_caller_s_summary_is_not_there(
    env: Env, standins: StandinsView
) -> None:
    async with serve({**env, "SUMMARIES": MemoryWorkflow()}) as client:
        tokens = [await standins.token({"sub": new_name()}) for _ in range(2)]
        owner, other = map(credentials, tokens)
        started = await client.post("/v1/summaries", json={"text": "A text."}, headers=owner)
        path = f"/v1/summaries/{started.json()['id']}"
        assert (await client.get(path, headers=owner)).status_code == 200
        assert (await client.get(path, headers=other)).status_code == 404
