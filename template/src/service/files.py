"""PUT, GET and DELETE /v1/files/{name}, GET /v1/files: a caller's own files, in R2.

What is in a file goes from the request to the bucket and from the bucket to the answer as the
platform's own stream: none of it is ever in Python's memory.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Protocol
from urllib.parse import quote

from pydantic import Field

from service.context import ROUTES, Context
from service.settings import Settings, binding
from service.web import (
    Native,
    Problem,
    Request,
    Response,
    Route,
    Unavailable,
    invalid_parameter,
    json_response,
    page_limit,
)

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
DEFAULT_CONTENT_TYPE = "application/octet-stream"

# What an answer cannot be begun for before the file is looked at.
_CONDITIONS = {"if-none-match", "range"}


class FilesSettings(Settings):
    """How large a file may be: Cloudflare's own limit is 100 MB on its smaller plans."""

    max_bytes: int = Field(alias="FILES_MAX_BYTES", default=100_000_000, ge=1)


class FilesUnavailable(Unavailable):
    """The bucket did not do what it was asked; the cause says why."""

    answer = "Files cannot be used at the moment."


class Stored(Protocol):
    """What the service uses of R2's objects; all but those of `get` are without their body."""

    key: str
    size: int
    httpEtag: str  # noqa: N815 - the platform's name
    httpMetadata: Any  # noqa: N815 - the platform's name
    uploaded: Any
    body: object


class Bucket(Protocol):
    """What the service uses of an R2 binding, as the Workers SDK presents it to Python."""

    async def put(self, key: str, value: object, options: Mapping[str, object], /) -> Stored: ...

    async def head(self, key: str, /) -> Stored | None: ...

    async def get(
        self, key: str, options: Mapping[str, object] | None = None, /
    ) -> Stored | None: ...

    async def delete(self, key: str, /) -> None: ...

    async def list(self, options: Mapping[str, object], /) -> Mapping[str, Any]: ...


class Files:
    """Serves what the bucket holds; another caller's file is not there."""

    def __init__(self, settings: FilesSettings, bucket: Bucket) -> None:
        self._max_bytes = settings.max_bytes
        self._bucket = bucket

    async def put(self, request: Request) -> Response:
        """Store the body under the name, in place of what was there.

        Problems: 411 without a Content-Length, which R2 needs for a stream, 413 for more bytes
        than FILES_MAX_BYTES, 415 for a content type that is none.
        """
        length = request.headers.get("content-length", "")
        if not re.fullmatch("[0-9]{1,18}", length):
            raise Problem(411, "The body needs a Content-Length.")
        if int(length) > self._max_bytes:
            raise Problem(413, f"A file may have {self._max_bytes} bytes.")
        content_type = request.headers.get("content-type", DEFAULT_CONTENT_TYPE)
        if not re.fullmatch("[!-~]{1,100}/[ -~]{1,150}", content_type):
            raise Problem(415, "The content type needs to be TYPE/SUBTYPE.")
        options = {"httpMetadata": {"contentType": content_type}}
        with _failing():
            stored = await self._bucket.put(_key(request), request.native, options)
        return json_response(_described(stored))

    async def get(self, request: Request) -> Response:
        """The file, or the range of it that is asked for; 304 for one that the caller has.

        Problems: 404, 416 for a range that it does not have.
        """
        key = _key(request)
        if request.method == "GET" and not _CONDITIONS & request.headers.keys():
            return _whole(request, await self._get(key))
        with _failing():
            stored = _there(await self._bucket.head(key))
        headers = _headers(request, stored)
        if _among(request.headers.get("if-none-match", ""), stored.httpEtag):
            return Response(304, {name: headers[name] for name in ("etag", "cache-control")})
        if request.method == "HEAD":
            return Response(200, headers)
        part = _part(request, stored)
        if part is None:
            return _whole(request, await self._get(key))
        offset, length = part
        stored = await self._get(key, {"range": {"offset": offset, "length": length}})
        headers |= {
            "content-length": str(length),
            "content-range": f"bytes {offset}-{offset + length - 1}/{stored.size}",
        }
        return Response(206, headers, Native(stored.body))

    async def list(self, request: Request) -> Response:
        """A page of the caller's files, by name. Problems: 422 for no limit or cursor."""
        prefix = _prefix(request.caller)
        options: dict[str, object] = {
            "prefix": prefix,
            "limit": page_limit(request, DEFAULT_LIMIT, MAX_LIMIT),
            "include": ["httpMetadata"],
        }
        if (cursor := request.query.get("cursor")) is not None:
            if not re.fullmatch(r"[\w.-]{1,128}", cursor, re.ASCII):
                raise invalid_parameter("cursor", "needs to be a next_cursor of an earlier page")
            options["startAfter"] = prefix + cursor
        with _failing():
            page = await self._bucket.list(options)
        files = [_described(stored) for stored in page["objects"]]
        cursor = files[-1]["name"] if page["truncated"] else None
        return json_response({"files": files, "next_cursor": cursor})

    async def delete(self, request: Request) -> Response:
        """204 when it is gone. Problems: 404."""
        with _failing():
            _there(await self._bucket.head(_key(request)))
            await self._bucket.delete(_key(request))
        return Response(204)

    async def _get(self, key: str, options: Mapping[str, object] | None = None) -> Stored:
        with _failing():
            return _there(await self._bucket.get(key, options or {}))


def files(context: Context) -> Files:
    return Files(context.settings(FilesSettings), binding(context.env, "FILES"))


def routes(context: Context) -> Sequence[Route]:
    return [
        Route("GET", "/v1/files", lambda request: context.get(files).list(request)),
        Route("GET", "/v1/files/{name}", lambda request: context.get(files).get(request)),
        Route("PUT", "/v1/files/{name}", lambda request: context.get(files).put(request)),
        Route("DELETE", "/v1/files/{name}", lambda request: context.get(files).delete(request)),
    ]


feature = (ROUTES.by(routes),)


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """The offset and length that a Range header asks for of `size` bytes (RFC 9110, section 14).

    None where it is to be ignored: it is malformed, or asks for several ranges. Raises ValueError
    for a range of which there is nothing.
    """
    found = re.fullmatch("bytes=([0-9]{0,18})-([0-9]{0,18})", header)
    if not found or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        offset, end = max(size - int(last), 0), size
    else:
        offset, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < offset:
            return None
    if offset >= end:
        raise ValueError("no byte is in the range")
    return offset, end - offset


def _part(request: Request, stored: Stored) -> tuple[int, int] | None:
    if request.headers.get("if-range", stored.httpEtag) != stored.httpEtag:
        return None
    try:
        return byte_range(request.headers.get("range", ""), stored.size)
    except ValueError:
        headers = {"content-range": f"bytes */{stored.size}"}
        raise Problem(416, f"The file has {stored.size} bytes.", headers=headers) from None


def _whole(request: Request, stored: Stored) -> Response:
    return Response(200, _headers(request, stored), Native(stored.body))


def _headers(request: Request, stored: Stored) -> dict[str, str]:
    """What is said of a file, and that a browser is not to show it as a page of this service."""
    return {
        "content-type": _content_type(stored),
        "content-length": str(stored.size),
        "content-disposition": f'attachment; filename="{request.path_params["name"]}"',
        "x-content-type-options": "nosniff",
        "etag": stored.httpEtag,
        "last-modified": format_datetime(_uploaded(stored), usegmt=True),
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
    }


def _described(stored: Stored) -> dict[str, object]:
    return {
        "name": stored.key.rpartition("/")[2],
        "size": stored.size,
        "content_type": _content_type(stored),
        "etag": stored.httpEtag,
        "uploaded_at": int(_uploaded(stored).timestamp() * 1000),
    }


def _content_type(stored: Stored) -> str:
    return getattr(stored.httpMetadata, "contentType", None) or DEFAULT_CONTENT_TYPE


def _uploaded(stored: Stored) -> datetime:
    """In UTC. In a list, where the SDK converts no object, it is a JavaScript Date."""
    if isinstance(stored.uploaded, datetime):
        return stored.uploaded.astimezone(UTC)
    return datetime.fromtimestamp(stored.uploaded.getTime() / 1000, UTC)


def _among(header: str, etag: str) -> bool:
    """Whether If-None-Match names the tag, compared weakly (RFC 9110, section 13.1.2)."""
    return header.strip() == "*" or etag in re.findall('"[^"]*"', header)


def _prefix(caller: str) -> str:
    # Without a slash of its own: no caller's prefix begins another's.
    return f"{quote(caller, safe='')}/"


def _key(request: Request) -> str:
    return _prefix(request.caller) + request.path_params["name"]


def _there(stored: Stored | None) -> Stored:
    if stored is None:
        raise Problem(404, "You have no file with this name.")
    return stored


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except Problem:
        raise
    except Exception as error:  # JavaScript's errors have no class in common.
        raise FilesUnavailable from error
