"""Documents by meaning. Workers AI and Vectorize run at Cloudflare only: both are doubles."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from service.search import MAX_DOCUMENTS, MAX_TEXT_BYTES
from tests.conftest import Env, serve
from tests.support.vectors import LetterModel, MemoryIndex


@pytest.fixture
def doubles() -> Env:
    return {"AI": LetterModel(), "VECTORS": MemoryIndex()}


@pytest.fixture
async def searcher(
    client: httpx.AsyncClient, env: Env, doubles: Env
) -> AsyncIterator[httpx.AsyncClient]:
    """A caller of a service with both doubles."""
    async with serve(env | doubles) as service:
        service.headers.update(client.headers)
        yield service


async def add(client: httpx.AsyncClient, **texts: str) -> None:
    documents = [{"id": name, "text": text} for name, text in texts.items()]
    answer = await client.post("/v1/documents", json={"documents": documents})
    assert (answer.status_code, answer.json()) == (202, {"ids": list(texts)})


async def found(client: httpx.AsyncClient, query: str, **options: Any) -> list[dict[str, Any]]:
    answer = await client.post("/v1/search", json={"query": query, **options})
    matches: list[dict[str, Any]] = answer.raise_for_status().json()["matches"]
    return matches


async def test_the_nearest_come_first_with_doubles_of_ai_and_vectorize(
    searcher: httpx.AsyncClient,
) -> None:
    await add(searcher, a="aaa", b="aab", c="ccc")
    matches = await found(searcher, "aaaa", limit=2)
    assert [match["id"] for match in matches] == ["a", "b"]
    assert matches[0]["text"] == "aaa"
    assert matches[0]["score"] > matches[1]["score"]


async def test_a_document_sent_again_replaces_with_doubles_of_ai_and_vectorize(
    searcher: httpx.AsyncClient,
) -> None:
    await add(searcher, a="aaa")
    await add(searcher, a="bbb")
    assert [match["text"] for match in await found(searcher, "b")] == ["bbb"]


async def test_a_deleted_document_is_not_found_with_doubles_of_ai_and_vectorize(
    searcher: httpx.AsyncClient,
) -> None:
    await add(searcher, a="aaa", b="bbb")
    assert (await searcher.delete("/v1/documents/a")).status_code == 202
    assert [match["id"] for match in await found(searcher, "a")] == ["b"]


async def test_the_model_is_the_one_that_is_set_with_doubles_of_ai_and_vectorize(
    client: httpx.AsyncClient, env: Env, doubles: Env
) -> None:
    async with serve(env | doubles | {"EMBEDDING_MODEL": "@cf/another"}) as service:
        service.headers.update(client.headers)
        await add(service, a="aaa")
    model = doubles["AI"]
    assert isinstance(model, LetterModel)
    assert model.models == ["@cf/another"]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("documents", {"documents": []}, "#/documents"),
        ("documents", {"documents": [{"id": "a/b", "text": "a"}]}, "#/documents/0/id"),
        ("documents", {"documents": [{"id": "a\n", "text": "a"}]}, "#/documents/0/id"),
        ("documents", {"documents": [{"id": "a", "text": ""}]}, "#/documents/0/text"),
        (
            "documents",
            {"documents": [{"id": "a", "text": "é" * (MAX_TEXT_BYTES // 2 + 1)}]},
            "#/documents/0/text",
        ),
        (
            "documents",
            {"documents": [{"id": "a", "text": "a"}] * (MAX_DOCUMENTS + 1)},
            "#/documents",
        ),
        ("search", {"query": ""}, "#/query"),
        ("search", {"query": "a", "limit": 0}, "#/limit"),
        ("search", {"query": "a", "limit": 21}, "#/limit"),
    ],
)
async def test_what_cannot_be_asked(
    searcher: httpx.AsyncClient, path: str, body: dict[str, Any], pointer: str
) -> None:
    answer = await searcher.post(f"/v1/{path}", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_what_fails_is_a_503_with_doubles_of_ai_and_vectorize(
    client: httpx.AsyncClient, env: Env, doubles: Env, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing:
        def __getattr__(self, name: str) -> Any:
            raise OSError(f"secret text: {name}")

    for broken in ({"AI": Failing()}, {"VECTORS": Failing()}):
        async with serve(env | doubles | broken) as service:
            service.headers.update(client.headers)
            body = {"documents": [{"id": "a", "text": "a"}]}
            answers = [
                await service.post("/v1/documents", json=body),
                await service.post("/v1/search", json={"query": "a"}),
            ]
        assert [answer.status_code for answer in answers] == [503, 503]
    assert "secret text" not in capsys.readouterr().out
