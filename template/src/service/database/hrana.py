"""libSQL's protocol, Hrana over HTTP: statements go out as JSON, rows come back as JSON.

https://github.com/tursodatabase/libsql/blob/main/docs/HRANA_2_SPEC.md
"""

import asyncio
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import httpx
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, SecretStr, ValidationError

from service.database.base import (
    DatabaseAuthError,
    DatabaseError,
    DatabaseUnavailable,
    Row,
    StatementError,
    failure,
)
from service.database.statements import Value
from service.settings import service_url

TIMEOUT_SECONDS = 10.0
"""For a whole exchange, in which libSQL may wait five seconds for a lock."""

MAX_ANSWER_BYTES = 8 * 1024 * 1024

Statement: TypeAlias = tuple[str, Sequence[Value]]
"""SQL and the values of its question marks, in order."""

Json: TypeAlias = Mapping[str, object]


def encode(value: Value) -> Json:
    """A value as Hrana writes it: an integer as a string, bytes in base64."""
    match value:
        case None:
            return {"type": "null"}
        case int():
            return {"type": "integer", "value": str(int(value))}
        case float():
            return {"type": "float", "value": value}
        case str():
            return {"type": "text", "value": value}
    return {"type": "blob", "base64": b64encode(value).decode()}


def decode(value: object) -> Value:
    """A value that Hrana wrote, blobs without padding. Raises ValueError for anything else."""
    match value:
        case {"type": "null"}:
            return None
        case {"type": "integer", "value": str(digits)} if re.fullmatch(r"-?[0-9]{1,19}", digits):
            return int(digits)
        case {"type": "float", "value": float() | int() as number} if not isinstance(number, bool):
            return _float(number)
        case {"type": "text", "value": str(text)}:
            return text
        case {"type": "blob", "base64": str(text)}:
            digits = text.rstrip("=")
            return b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    raise ValueError("not a value of Hrana")


def _float(number: float) -> float:
    # JSON has one kind of number: a whole one need not have a point.
    try:
        return float(number)
    except OverflowError:
        raise ValueError("not a double") from None


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class _Column(_Part):
    name: str | None = None


class _Rows(_Part):
    cols: list[_Column]
    rows: list[list[Annotated[Value, PlainValidator(decode)]]]

    def by_name(self) -> list[Row]:
        names = [column.name or "" for column in self.cols]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


class _Error(_Part):
    message: str
    code: str | None = None


class _Steps(_Part):
    step_results: list[_Rows | None]
    step_errors: list[_Error | None]


class _Executed(_Part):
    type: Literal["execute"]
    result: _Rows


class _Batched(_Part):
    type: Literal["batch"]
    result: _Steps


class _Closed(_Part):
    type: Literal["close"]


class _Ok(_Part):
    type: Literal["ok"]
    response: Annotated[_Executed | _Batched | _Closed, Field(discriminator="type")]


class _Failed(_Part):
    type: Literal["error"]
    error: _Error


class _Answer(_Part):
    baton: str | None = None
    base_url: str | None = None
    results: list[Annotated[_Ok | _Failed, Field(discriminator="type")]]


class Stream:
    """A connection to the database, for as many exchanges as it is used for, one after another.

    Each answer brings a baton that the next exchange passes on, and can name the server to go on
    with. libSQL forgets a stream after ten seconds without any, and rolls back what it left open.
    Methods raise DatabaseError.
    """

    def __init__(
        self,
        url: str,
        token: SecretStr,
        http: httpx.AsyncClient,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._url = url
        self._local = httpx.URL(url).scheme == "http"
        self._token = token
        self._http = http
        self._timeout = timeout
        self._baton: str | None = None

    async def execute(self, statement: Statement, *, last: bool = False) -> Sequence[Row]:
        """The rows of a statement. The stream ends with it when it is the `last`."""
        request = {"type": "execute", "stmt": _stmt(statement)}
        match await self._result(request, last=last):
            case _Executed(result=result):
                return _rows([result])[0]
        raise _malformed()

    async def batch(
        self, statements: Sequence[Statement], *, writes: bool = True, last: bool = False
    ) -> Sequence[Sequence[Row]]:
        """The rows of each statement: all of them happen, or none.

        What `writes` waits for other writers before it begins, not in the middle.
        """
        request = {"type": "batch", "batch": {"steps": _steps(statements, writes=writes)}}
        match await self._result(request, last=last):
            case _Batched(result=steps):
                return _rows(_of_all(steps, len(statements)))
        raise _malformed()

    async def close(self) -> None:
        """End the stream, which the server would do by itself some time later."""
        if self._baton is not None:
            await self._exchange([{"type": "close"}])

    async def _result(self, request: Json, *, last: bool) -> _Executed | _Batched | _Closed:
        requests = [request, {"type": "close"}] if last else [request]
        answer = await self._exchange(requests)
        if len(answer.results) != len(requests):
            raise _malformed()
        match answer.results[0]:
            case _Failed(error=error):
                raise _failure(error)
            case _Ok(response=response):
                return response

    async def _exchange(self, requests: Sequence[Json]) -> _Answer:
        try:
            async with asyncio.timeout(self._timeout):
                content = await self._post({"baton": self._baton, "requests": requests})
        except TimeoutError:
            raise DatabaseUnavailable(f"no answer in {self._timeout:g} s") from None
        except httpx.HTTPError as error:
            # Named, not chained: it has the request, and that the token and the values.
            raise DatabaseUnavailable(f"no answer: {type(error).__name__}") from None
        try:
            answer = _Answer.model_validate_json(content)
        except ValidationError:
            raise _malformed() from None
        self._baton = answer.baton
        if answer.base_url is not None:
            self._url = self._next_url(answer.base_url)
        return answer

    async def _post(self, message: Json) -> bytes:
        headers = {"authorization": f"Bearer {self._token.get_secret_value()}"}
        url = f"{self._url}/v2/pipeline"
        content = bytearray()
        async with self._http.stream("POST", url, headers=headers, json=message) as response:
            if response.status_code != httpx.codes.OK:
                raise self._refusal(response.status_code)
            async for chunk in response.aiter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise StatementError(f"its rows are more than {MAX_ANSWER_BYTES} bytes")
        return bytes(content)

    def _refusal(self, status: int) -> DatabaseError:
        match status:
            case httpx.codes.UNAUTHORIZED:
                return DatabaseAuthError("the token is refused")
            case httpx.codes.FORBIDDEN:
                return DatabaseAuthError("the token does not allow this")
            case httpx.codes.BAD_REQUEST if self._baton is not None:
                return DatabaseUnavailable("the stream is gone", untouched=True)
            case httpx.codes.BAD_REQUEST:
                return StatementError(f"HTTP {status}")
        untouched = status == httpx.codes.TOO_MANY_REQUESTS
        return DatabaseUnavailable(f"HTTP {status}", untouched=untouched)

    def _next_url(self, base_url: str) -> str:
        try:
            return service_url(base_url, local=self._local)
        except ValueError:
            raise DatabaseUnavailable("it goes on at an address that is not safe to call") from None


def _stmt(statement: Statement) -> Json:
    sql, values = statement
    return {"sql": sql, "args": [encode(value) for value in values], "want_rows": True}


def _steps(statements: Sequence[Statement], *, writes: bool) -> list[Json]:
    """A transaction: each step if the one before it went well, and its undoing if one did not."""
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    chain = [(begin, ()), *statements, ("COMMIT", ())]
    steps = [
        {"stmt": _stmt(statement), **({"condition": _ok(number - 1)} if number else {})}
        for number, statement in enumerate(chain)
    ]
    failed = {"type": "not", "cond": _ok(len(chain) - 1)}
    undo = {"type": "and", "conds": [_ok(0), failed]}
    return [*steps, {"stmt": _stmt(("ROLLBACK", ())), "condition": undo}]


def _ok(step: int) -> Json:
    return {"type": "ok", "step": step}


def _of_all(steps: _Steps, count: int) -> list[_Rows]:
    """The results of the statements between BEGIN and COMMIT, which went well."""
    for number, error in enumerate(steps.step_errors):
        if error is not None:
            raise _failure(error, number - 1 if 1 <= number <= count else None)
    results = [rows for rows in steps.step_results[: count + 2] if rows is not None]
    if len(results) != count + 2:
        raise _malformed()
    return results[1:-1]


def _rows(results: Sequence[_Rows]) -> list[list[Row]]:
    try:
        return [result.by_name() for result in results]
    except ValueError:
        raise _malformed() from None


def _failure(error: _Error, statement: int | None = None) -> DatabaseError:
    found = failure(error.code or "", error.message)
    found.statement = statement
    return found


def _malformed() -> DatabaseUnavailable:
    return DatabaseUnavailable("the answer is not Hrana")
