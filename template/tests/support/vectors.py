"""Doubles of Workers AI and Vectorize, neither of which runs outside of Cloudflare."""

import math
from collections.abc import Mapping, Sequence
from typing import Any


class LetterModel:
    """Makes a vector of a text's letters: texts of like words are near each other."""

    def __init__(self) -> None:
        self.models: list[str] = []

    async def run(self, model: str, inputs: Mapping[str, Any], /) -> Mapping[str, Any]:
        self.models.append(model)
        vectors = [[float(text.count(letter)) for letter in "abcdefgh"] for text in inputs["text"]]
        return {"shape": [len(vectors), 8], "data": vectors}


class MemoryIndex:
    """Keeps vectors, and shows them at once. It refuses what Vectorize would."""

    def __init__(self) -> None:
        self._vectors: dict[str, Mapping[str, Any]] = {}

    async def upsert(self, vectors: Sequence[Mapping[str, Any]], /) -> None:
        for vector in vectors:
            assert len(vector["id"]) <= 64
            assert len(vector["namespace"]) <= 64
            assert len(str(vector["metadata"]).encode()) <= 10 * 1024
            self._vectors[vector["id"]] = vector

    async def query(
        self, vector: Sequence[float], options: Mapping[str, Any], /
    ) -> Mapping[str, Any]:
        assert options["returnMetadata"] == "all"
        near = [
            {**kept, "score": _cosine(vector, kept["values"])}
            for kept in self._vectors.values()
            if kept["namespace"] == options["namespace"]
        ]
        near.sort(key=lambda match: -match["score"])
        return {"count": len(near), "matches": near[: options["topK"]]}

    async def deleteByIds(self, ids: Sequence[str], /) -> None:  # noqa: N802 - its real name
        for vector_id in ids:
            self._vectors.pop(vector_id, None)


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other) or 1)
