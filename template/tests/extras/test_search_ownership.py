"""A document is its caller's alone. Workers AI and Vectorize are doubles."""

from tests.conftest import Env, new_name, serve
from tests.support.standins import StandinsView, credentials
from tests.support.vectors import LetterModel, MemoryIndex


async def headers(standins: StandinsView) -> dict[str, str]:
    return credentials(await standins.token({"sub": new_name()}))


async def test_another_caller_s_document_is_not_there_with_doubles_of_ai_and_vectorize(
    env: Env, standins: StandinsView
) -> None:
    owner, other = await headers(standins), await headers(standins)
    body = {"documents": [{"id": "a", "text": "aaa"}]}
    async with serve(env | {"AI": LetterModel(), "VECTORS": MemoryIndex()}) as service:
        await service.post("/v1/documents", json=body, headers=owner)
        await service.delete("/v1/documents/a", headers=other)
        found = [
            (await service.post("/v1/search", json={"query": "a"}, headers=caller)).json()
            for caller in (owner, other)
        ]
    assert [match["id"] for match in found[0]["matches"]] == ["a"]
    assert found[1] == {"matches": []}
