"""Bodies that pass through Python, however they are held on the way."""

from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE, files
from tests.checks.support import told

BUCKET = BASE["wrangler.toml"] + '\n[[r2_buckets]]\nbinding = "FILES"\nbucket_name = "files"\n'


def found(folder: Path, *lines: str) -> list[str]:
    body = "".join(f"        {line}\n" for line in lines)
    entry = BASE["src/entry.py"].replace("        return Response(await answer(self.env))\n", body)
    return told(folder, files({"wrangler.toml": BUCKET, "src/entry.py": entry}), "RUN701")


@pytest.mark.parametrize(
    "lines",
    [
        ["found = await self.env.FILES.get('a')", "return Response(await found.arrayBuffer())"],
        ["found = await self.env.FILES.get('a')", "data = (await found.arrayBuffer()).to_bytes()",
         "return Response(data, headers={})"],
        ["files = self.env.FILES", "found = await files.get('a')", "text = await found.text()",
         "return Response(bytes(text))"],
        ["return Response(await (await self.env.FILES.get('a')).bytes())"],
        ["data = await request.bytes()", "await self.env.FILES.put('a', data)"],
        ["await self.env.FILES.put('a', await request.bytes())"],
    ],
)  # fmt: skip
def test_a_whole_body_through_python(tmp_path: Path, lines: list[str]) -> None:
    (only,) = found(tmp_path, *lines)
    assert "RUN701 the whole body passes through Python's memory" in only


@pytest.mark.parametrize(
    "lines",
    [
        ["found = await self.env.FILES.get('a')", "return Response(found.body)"],
        ["found = await self.env.FILES.get('a')", "return Response(str(len(await found.text())))"],
        ["found = await self.env.CACHE.get('a')", "return Response(await found.text())"],
        ["data = await request.bytes()", "data = data[:10]", "await self.env.FILES.put('a', data)"],
        ["await self.env.FILES.put('a', request.js_object.body)"],
    ],
)
def test_streams_and_what_is_made_of_a_body(tmp_path: Path, lines: list[str]) -> None:
    assert found(tmp_path, *lines) == []
