"""POST /v1/documents, DELETE /v1/documents/{id}, POST /v1/search: a caller's texts, by meaning.

Workers AI makes a vector of each text, Vectorize finds the nearest ones.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.context import ROUTES, Context
from service.settings import Settings, binding
from service.web import Request, Response, Route, Unavailable, json_response, read_json

MAX_TEXT_BYTES = 8000
"""Of the 10 KiB that Vectorize keeps beside a vector, with room for the id."""

MAX_DOCUMENTS = 20
MAX_MATCHES = 20
DEFAULT_MATCHES = 5


class SearchSettings(Settings):
    """The model that makes vectors. The index has its dimensions: another model, another index."""

    model: str = Field(alias="EMBEDDING_MODEL", default="@cf/baai/bge-m3")


class SearchUnavailable(Unavailable):
    """Workers AI or Vectorize did not do what it was asked; the cause says why."""

    answer = "Documents cannot be searched at the moment."


class Model(Protocol):
    """What the service uses of the Workers AI binding, as the Workers SDK presents it to Python."""

    async def run(self, model: str, inputs: Mapping[str, object], /) -> Mapping[str, Any]: ...


class Index(Protocol):
    """What the service uses of a Vectorize binding."""

    async def upsert(self, vectors: Sequence[Mapping[str, object]], /) -> object: ...

    async def query(
        self, vector: Sequence[float], options: Mapping[str, object], /
    ) -> Mapping[str, Any]: ...

    async def deleteByIds(self, ids: Sequence[str], /) -> object:  # noqa: N802 - the platform's name
        ...


def _fits(text: str) -> str:
    if len(json.dumps(text, ensure_ascii=False).encode()) > MAX_TEXT_BYTES:
        raise ValueError(f"needs to be at most {MAX_TEXT_BYTES} bytes as JSON")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_fits)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Document(_Body):
    """A text under a name of the caller's choice."""

    id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")
    text: Text


class Documents(_Body):
    """The body of POST /v1/documents."""

    documents: list[Document] = Field(min_length=1, max_length=MAX_DOCUMENTS)


class Query(_Body):
    """The body of POST /v1/search."""

    query: Text
    limit: int = Field(default=DEFAULT_MATCHES, ge=1, le=MAX_MATCHES)


class Search:
    """Keeps and finds documents; each caller's are in a namespace of their own."""

    def __init__(self, settings: SearchSettings, model: Model, index: Index) -> None:
        self._model_name = settings.model
        self._model = model
        self._index = index

    async def add(self, request: Request) -> Response:
        """202: Vectorize shows what it took some seconds later. Problems: those of `read_json`."""
        documents = (await read_json(request, Documents)).documents
        with _failing():
            values = await self._vectors([document.text for document in documents])
            vectors = [
                {
                    "id": _vector_id(request.caller, document.id),
                    "namespace": _namespace(request.caller),
                    "values": vector,
                    "metadata": {"id": document.id, "text": document.text},
                }
                for document, vector in zip(documents, values, strict=True)
            ]
            await self._index.upsert(vectors)
        return json_response({"ids": [document.id for document in documents]}, 202)

    async def find(self, request: Request) -> Response:
        """The documents nearest to a query, best first. Problems: those of `read_json`."""
        query = await read_json(request, Query)
        options = {
            "topK": query.limit,
            "namespace": _namespace(request.caller),
            "returnMetadata": "all",
        }
        with _failing():
            (vector,) = await self._vectors([query.query])
            found = await self._index.query(vector, options)
            matches = [
                {
                    **{name: match["metadata"][name] for name in ("id", "text")},
                    "score": match["score"],
                }
                for match in found["matches"]
            ]
        return json_response({"matches": matches})

    async def delete(self, request: Request) -> Response:
        """202, whether or not there was such a document; it is gone some seconds later."""
        with _failing():
            await self._index.deleteByIds([_vector_id(request.caller, request.path_params["id"])])
        return Response(202)

    async def _vectors(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        answer = await self._model.run(self._model_name, {"text": list(texts)})
        vectors: Sequence[Sequence[float]] = answer["data"]
        return vectors


def search(context: Context) -> Search:
    ai, vectors = binding(context.env, "AI"), binding(context.env, "VECTORS")
    return Search(context.settings(SearchSettings), ai, vectors)


def routes(context: Context) -> Sequence[Route]:
    return [
        Route("POST", "/v1/documents", lambda request: context.get(search).add(request)),
        Route("DELETE", "/v1/documents/{id}", lambda request: context.get(search).delete(request)),
        Route("POST", "/v1/search", lambda request: context.get(search).find(request)),
    ]


feature = (ROUTES.by(routes),)


def _namespace(caller: str) -> str:
    """The caller's namespace: of a caller's name Vectorize would take 64 bytes at most."""
    return hashlib.sha256(caller.encode()).hexdigest()


def _vector_id(caller: str, document: str) -> str:
    """The document's id in the index, where ids are everybody's and have 64 bytes at most."""
    return hashlib.sha256(f"{_namespace(caller)}{document}".encode()).hexdigest()


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # JavaScript's errors have no class in common.
        raise SearchUnavailable from error
