"""A caller's files, in R2."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.files import Files, FilesSettings, byte_range
from service.settings import binding
from service.web import Native, Request
from tests.conftest import Env, new_name, serve
from tests.support.clients import here

BYTES = bytes(range(256)) * 4096
"""A megabyte in which every byte's place can be told."""


async def upload(
    client: httpx.AsyncClient, name: str, content: bytes, content_type: str = "text/plain"
) -> httpx.Response:
    headers = {"content-type": content_type}
    answer = await client.put(f"/v1/files/{name}", content=content, headers=headers)
    return answer.raise_for_status()


async def test_a_file_comes_back_as_it_was_sent(client: httpx.AsyncClient, marker: str) -> None:
    name = f"{marker}.bin"
    stored = (await upload(client, name, BYTES, "image/png; a=b")).json()
    answer = await client.get(f"/v1/files/{name}")
    assert answer.status_code == 200
    assert answer.content == BYTES
    assert answer.headers["content-type"] == "image/png; a=b"
    assert answer.headers["etag"] == stored["etag"]
    assert (stored["name"], stored["size"]) == (name, len(BYTES))


async def test_an_empty_file_is_a_file(client: httpx.AsyncClient, marker: str) -> None:
    assert (await upload(client, marker, b"")).json()["size"] == 0
    answer = await client.get(f"/v1/files/{marker}")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_browser_does_not_show_it_as_a_page(client: httpx.AsyncClient, marker: str) -> None:
    await upload(client, f"{marker}.html", b"<script>", "text/html")
    headers = (await client.get(f"/v1/files/{marker}.html")).headers
    assert headers["content-disposition"] == f'attachment; filename="{marker}.html"'
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "private, no-cache"


async def test_a_file_without_a_type_is_bytes(client: httpx.AsyncClient, marker: str) -> None:
    await client.put(f"/v1/files/{marker}", content=b"hello")
    answer = await client.get(f"/v1/files/{marker}")
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_what_is_sent_again_replaces(client: httpx.AsyncClient, marker: str) -> None:
    first = (await upload(client, marker, b"one")).json()
    second = (await upload(client, marker, b"two!", "text/html")).json()
    answer = await client.get(f"/v1/files/{marker}")
    assert (answer.content, answer.headers["content-type"]) == (b"two!", "text/html")
    assert first["etag"] != second["etag"]


async def test_a_deleted_file_is_gone(client: httpx.AsyncClient, marker: str) -> None:
    await upload(client, marker, b"hello")
    answer = await client.delete(f"/v1/files/{marker}")
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("GET", "HEAD", "DELETE"):
        assert (await client.request(method, f"/v1/files/{marker}")).status_code == 404


async def test_its_head_is_the_file_without_its_content(
    client: httpx.AsyncClient, marker: str
) -> None:
    await upload(client, marker, b"hello")
    answer = await client.head(f"/v1/files/{marker}")
    assert (answer.status_code, answer.content) == (200, b"")
    age = datetime.now(UTC) - parsedate_to_datetime(answer.headers["last-modified"])
    assert abs(age) < timedelta(minutes=5)


async def test_who_has_the_file_is_not_sent_it_again(
    client: httpx.AsyncClient, marker: str
) -> None:
    etag = (await upload(client, marker, b"hello")).json()["etag"]
    for known in (etag, f'"other", W/{etag}', "*"):
        answer = await client.get(f"/v1/files/{marker}", headers={"if-none-match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    answer = await client.get(f"/v1/files/{marker}", headers={"if-none-match": '"other"'})
    assert (answer.status_code, answer.content) == (200, b"hello")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", (206, b"0", "bytes 0-0/10")),
        ("bytes=3-5", (206, b"345", "bytes 3-5/10")),
        ("bytes=8-", (206, b"89", "bytes 8-9/10")),
        ("bytes=8-99", (206, b"89", "bytes 8-9/10")),
        ("bytes=-3", (206, b"789", "bytes 7-9/10")),
        ("bytes=-99", (206, b"0123456789", "bytes 0-9/10")),
        ("bytes=5-3", (200, b"0123456789", None)),
        ("bytes=0-1,4-5", (200, b"0123456789", None)),
        ("bytes=-", (200, b"0123456789", None)),
        ("lines=1-2", (200, b"0123456789", None)),
    ],
)
async def test_a_part_of_a_file(
    client: httpx.AsyncClient, marker: str, asked: str, expected: tuple[int, bytes, str | None]
) -> None:
    await upload(client, marker, b"0123456789")
    answer = await client.get(f"/v1/files/{marker}", headers={"range": asked})
    content_range = answer.headers.get("content-range")
    assert (answer.status_code, answer.content, content_range) == expected


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=-0", "bytes=99-100"])
async def test_a_part_that_is_not_there(client: httpx.AsyncClient, marker: str, asked: str) -> None:
    await upload(client, marker, b"0123456789")
    answer = await client.get(f"/v1/files/{marker}", headers={"range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */10"


async def test_a_part_of_a_file_that_has_changed_is_the_whole_of_it(
    client: httpx.AsyncClient, marker: str
) -> None:
    etag = (await upload(client, marker, b"0123456789")).json()["etag"]
    for known, status in ((etag, 206), ('"other"', 200)):
        headers = {"range": "bytes=1-2", "if-range": known}
        assert (await client.get(f"/v1/files/{marker}", headers=headers)).status_code == status


@given(st.text(), st.integers(0, 10**6))
def test_no_range_fails_otherwise(text: str, size: int) -> None:
    assert byte_range(text, size) is None


@given(st.integers(1, 999), st.integers(0, 1200), st.integers(0, 1200))
def test_a_range_is_the_slice_that_it_names(size: int, first: int, last: int) -> None:
    content = bytes(size)
    try:
        part = byte_range(f"bytes={first}-{last}", size)
    except ValueError:
        assert first >= size
    else:
        assert (part is None) == (last < first)
        assert part is None or part == (first, len(content[first : last + 1]))


async def test_pages_list_every_file_once(client: httpx.AsyncClient, marker: str) -> None:
    names = [f"{marker}.{number}" for number in range(5)]
    for name in names:
        await upload(client, name, name.encode(), "text/x-name")
    listed: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 2, "cursor": marker}
    while query["cursor"] and len(listed) < len(names):
        page = (await client.get("/v1/files", params=query)).raise_for_status().json()
        listed += page["files"]
        query["cursor"] = page["next_cursor"]
    # Where nobody is asked who they are, the last page may go on with another test's files.
    listed = [file for file in listed if file["name"].startswith(marker)]
    assert [file["name"] for file in listed] == names
    assert {file["content_type"] for file in listed} == {"text/x-name"}
    assert all(file["size"] == len(names[0]) and file["etag"] for file in listed)
    assert all(file["uploaded_at"] > 1_700_000_000_000 for file in listed)


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "1001"}, {"cursor": ""}, {"cursor": "a/b"}]
)
async def test_a_page_that_cannot_be(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    answer = await client.get("/v1/files", params=query)
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == list(query)


@pytest.mark.parametrize("name", ["a%20b", "a/b", "a" * 129, "%C3%A9", "a%2Fb"])
async def test_a_name_that_cannot_be(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.put(f"/v1/files/{name}", content=b"hello")
    assert answer.status_code == 404


@pytest.mark.parametrize("content_type", ["text", "/", "a/" + "b" * 200])
async def test_a_type_that_cannot_be(
    client: httpx.AsyncClient, marker: str, content_type: str
) -> None:
    headers = {"content-type": content_type}
    answer = await client.put(f"/v1/files/{marker}", content=b"hello", headers=headers)
    assert answer.status_code == 415


async def test_a_file_may_have_just_so_many_bytes(
    client: httpx.AsyncClient, env: Env, marker: str
) -> None:
    async with serve(env | {"FILES_MAX_BYTES": "5"}) as service:
        service.headers.update(client.headers)
        statuses = [
            (await service.put(f"/v1/files/{marker}", content=content)).status_code
            for content in (b"12345", b"123456")
        ]
    assert statuses == [200, 413]


async def test_a_body_without_a_length_is_refused(
    client: httpx.AsyncClient, env: Env, marker: str
) -> None:
    async def chunks() -> Any:
        yield b"hello"

    async with serve(env) as service:
        service.headers.update(client.headers)
        answer = await service.put(f"/v1/files/{marker}", content=chunks())
    assert answer.status_code == 411


async def test_a_bucket_that_fails_is_a_503(
    client: httpx.AsyncClient, env: Env, marker: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing:
        def __getattr__(self, name: str) -> Any:
            raise OSError(f"secret text: {name}")

    async with serve(env | {"FILES": Failing()}) as service:
        service.headers.update(client.headers)
        answers = [
            await service.put(f"/v1/files/{marker}", content=b"hello"),
            await service.get(f"/v1/files/{marker}"),
            await service.head(f"/v1/files/{marker}"),
            await service.delete(f"/v1/files/{marker}"),
            await service.get("/v1/files"),
        ]
    assert [answer.status_code for answer in answers] == [503] * 5
    assert "secret text" not in capsys.readouterr().out


class Untouched:
    """A body that fails when it is read."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        raise AssertionError("read")


async def test_no_byte_of_a_file_passes_through_python(env: Env, marker: str) -> None:
    files = Files(FilesSettings.load(env), binding(env, "FILES"))
    request = Request(
        "PUT",
        "http://localhost/",
        httpx.Headers({"content-length": "5"}),
        Untouched(),
        here.native(b"hello"),
        caller=new_name(),
        path_params={"name": marker},
    )
    assert (await files.put(request)).status == 200
    answer = await files.get(replace(request, method="GET"))
    assert isinstance(answer.body, Native)
    assert b"".join([chunk async for chunk in here.chunks(answer.body.stream)]) == b"hello"
