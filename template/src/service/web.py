"""The HTTP face: requests, responses, routes, and problems as RFC 9457 tells them."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from re import fullmatch
from typing import ClassVar, NoReturn, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

MAX_BODY_BYTES = 1024 * 1024

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Request:
    """A request as it came in; its body has not been read yet.

    `native` is the same body as the platform's bindings take it: what goes there never passes
    through Python. `route` is the path as declared, without what a caller put into it: the one that
    logs and telemetry may have.
    `claims` are those of the caller's token, once it is verified.
    """

    method: str
    url: str
    headers: httpx.Headers
    body: AsyncIterator[bytes]
    native: object = b""
    id: str = ""
    caller: str = ""
    route: str = ""
    claims: Mapping[str, object] = field(default_factory=dict)
    path_params: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_nobody(cls, route: str, request_id: str, caller: str) -> Self:
        """What stands for a request where the service does by itself what somebody once asked."""
        url = f"https://localhost{route}"
        headers = httpx.Headers()
        return cls("POST", url, headers, _nothing(), id=request_id, caller=caller, route=route)

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> httpx.QueryParams:
        return httpx.QueryParams(urlsplit(self.url).query)


async def _nothing() -> AsyncIterator[bytes]:
    chunks: tuple[bytes, ...] = ()
    for chunk in chunks:
        yield chunk


@dataclass(frozen=True)
class Native:
    """A body that the platform streams by itself, such as a binding's."""

    stream: object


@dataclass
class Response:
    """An answer; a body that is a generator is streamed, and closed when the client has gone."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncGenerator[bytes, None] | Native = b""


class Problem(Exception):
    """An error answer: application/problem+json (RFC 9457).

    `extensions` are further members of the problem object.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **extensions: object,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions

    def document(self, request_id: str) -> dict[str, object]:
        """The problem object; its type is about:blank, so its title is the status's own."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            **self.extensions,
        }

    def response(self, request_id: str) -> Response:
        headers = {"content-type": "application/problem+json", **self.headers}
        return Response(self.status, headers, _encode(self.document(request_id)))


class Unavailable(Exception):
    """Something that the service needs cannot be used at the moment: a 503.

    Callers are told `answer`; whoever runs the service finds the error in its log, with its
    message, which therefore quotes nothing of a request and no secret. `retry_after` is in seconds.
    """

    answer: ClassVar[str]
    retry_after: float | None = None


Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Route:
    """One method on one path; `{name}` in it stands for a segment of letters, digits, _, - and `.`.

    A public route is open to everyone; the others have a caller. Requests to public routes are
    counted by their address, unless the route is not `limited`.
    """

    method: str
    path: str
    handler: Handler
    public: bool = False
    limited: bool = True

    @property
    def name(self) -> str:
        """What settings call it, such as `GET /v1/chats/{id}`."""
        return f"{self.method} {self.path}"

    def match(self, path: str) -> dict[str, str] | None:
        """The path's parameters, or None where the path is another's."""
        start, has_parameters, _ = self.path.partition("{")
        if not has_parameters:
            return {} if path == start else None
        if not path.startswith(start):
            return None
        pattern = self.path.replace("{", "(?P<").replace("}", r">[\w.-]{1,128})")
        found = fullmatch(pattern, path)
        return found.groupdict() if found else None


def find(routes: Sequence[Route], method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route for a request and its path parameters. HEAD is served by GET's.

    Raises Problem: 404 where no route has the path, 405 where none of those has the method.
    """
    matches = [(r, params) for r in routes if (params := r.match(path)) is not None]
    for route, params in matches:
        if route.method == ("GET" if method == "HEAD" else method):
            return route, params
    if not matches:
        raise Problem(404, "There is nothing at this path.")
    allowed = {r.method for r, _ in matches}
    allowed |= {"HEAD"} if "GET" in allowed else set()
    allow = ", ".join(sorted(allowed))
    raise Problem(405, f"This path answers {allow}.", headers={"allow": allow})


def json_response(data: object, status: int = 200) -> Response:
    return Response(status, {"content-type": "application/json"}, _encode(data))


def event(name: str, data: object) -> bytes:
    """One server-sent event."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), _encode(data))


def page_limit(request: Request, default: int, most: int) -> int:
    """How many things the query's `limit` asks for. Raises Problem: 422 for what cannot be."""
    text = request.query.get("limit", str(default))
    if text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= most:
        return int(text)
    raise invalid_parameter("limit", f"needs to be a whole number from 1 to {most}")


def invalid_parameter(name: str, detail: str) -> Problem:
    """422 for one parameter of the query."""
    return Problem(
        422, "The request has invalid fields.", errors=[{"parameter": name, "detail": detail}]
    )


async def read_bytes(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The request's body as it was sent. Raises Problem: 413 for more bytes than `limit`."""
    too_large = Problem(413, f"The body may have {limit} bytes.")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > limit:
        raise too_large
    body = bytearray()
    async for chunk in request.body:
        body += chunk
        if len(body) > limit:
            raise too_large
    return bytes(body)


async def read_json(request: Request, model: type[Model]) -> Model:
    """The request's JSON body as `model`.

    Raises Problem: 415 for another content type, 413 for a body over MAX_BODY_BYTES, 400 for what
    is not JSON, 422 with the fields for JSON that is not a `model`.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(
            415, "The body needs to be application/json.", headers={"accept": "application/json"}
        )
    body = await read_bytes(request)
    try:
        # pydantic's parser bounds the depth of nesting; json.loads would exhaust the stack.
        return model.model_validate_json(body)
    except ValidationError as error:
        refuse(error)


def refuse(error: ValidationError) -> NoReturn:
    """Raise a Problem for pydantic's refusal: 400 for what is no JSON, else 422 with the fields."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    if problems[0]["type"] == "json_invalid":
        raise Problem(400, f"The body is not JSON: {problems[0]['msg']}") from None
    errors = [
        {"pointer": pointer(p["loc"]), "detail": p["msg"].removeprefix("Value error, ")}
        for p in problems
    ]
    raise Problem(422, "The request has invalid fields.", errors=errors) from None


def pointer(location: Sequence[str | int]) -> str:
    """A field's place as a JSON pointer in a URI fragment (RFC 6901, section 6)."""
    return "#" + "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in location)


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # json.dumps makes one a call


def _encode(data: object) -> bytes:
    return _JSON.encode(data).encode()
