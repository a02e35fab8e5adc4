"""Hrana, libSQL's protocol, spoken with a real libSQL server; and with one that fails."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any, TypeAlias

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from service.database.base import (
    ConstraintError,
    DatabaseAuthError,
    DatabaseError,
    DatabaseUnavailable,
    StatementError,
)
from service.database.hrana import MAX_ANSWER_BYTES, Json, Statement, Stream, decode, encode
from tests.conftest import new_name
from tests.support.standins import KEY, LibsqlServer, StandinsView

Opened: TypeAlias = Callable[..., Stream]

INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES = st.none() | INTEGERS | st.floats(allow_nan=False) | st.text() | st.binary()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=3,
)
# As many rows as it is told, each of a million bytes.
MEGABYTES = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
SELECT hex(zeroblob(500000)) FROM n
"""


@pytest.fixture
def opened(standins_url: str, http: httpx.AsyncClient) -> Opened:
    """Opens a stream to the main server, past a fault of the stand-ins where one is named."""

    def opened(fault: str | None = None, name: str = "", timeout: float = 10.0) -> Stream:
        place = f"faults/{fault}/{name or new_name()}" if fault else "main"
        return Stream(f"{standins_url}/turso/{place}", SecretStr(KEY), http, timeout)

    return opened


@pytest.fixture
async def server(standins: StandinsView) -> LibsqlServer:
    """A server of the test's own, which asks for tokens."""
    return await standins.libsql_server()


@pytest.fixture
def own(server: LibsqlServer, http: httpx.AsyncClient) -> Opened:
    """Opens a stream to it."""
    token = SecretStr(server.tokens["full"])
    return lambda timeout=10.0: Stream(server.url, token, http, timeout)


async def begin(stream: Stream) -> None:
    """Begin a transaction, and make a table in it that no other stream sees."""
    await stream.execute(sql("BEGIN IMMEDIATE"))
    await stream.execute(sql("CREATE TABLE half (a)"))


def sql(text: str, *values: Any) -> Statement:
    return text, values


@given(value=VALUES)
def test_values_are_read_as_they_were_written(value: Any) -> None:
    read = decode(encode(value))
    assert read == value
    assert type(read) is type(value)


@given(value=st.binary())
def test_blobs_come_without_padding(value: bytes) -> None:
    text = b64encode(value).decode()
    assert decode({"type": "blob", "base64": text.rstrip("=")}) == value
    assert decode({"type": "blob", "base64": text}) == value


def test_floats_may_come_without_a_point() -> None:
    read = decode({"type": "float", "value": 7})
    assert (read, type(read)) == (7.0, float)


@given(
    value=JSON
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["null", "integer", "float", "text", "blob", "bool"])},
        optional={"value": JSON, "base64": JSON},
    )
)
def test_what_is_no_value_is_refused(value: Any) -> None:
    try:
        read = decode(value)
    except ValueError:
        return
    assert isinstance(value, dict)
    assert {"null", "integer", "float", "text", "blob"} >= {value["type"]}
    assert read is None or isinstance(read, int | float | str | bytes)


@pytest.mark.parametrize(
    "value",
    [
        {"type": "integer", "value": 7},
        {"type": "integer", "value": "7.0"},
        {"type": "integer", "value": "٣"},
        {"type": "integer", "value": "1" * 5000},
        {"type": "float", "value": None},
        {"type": "float", "value": True},
        {"type": "float", "value": 10**400},
        {"type": "text"},
        {"type": "blob", "base64": "a"},
        {"type": "blob", "base64": "??"},
    ],
)
def test_values_that_cannot_be(value: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says, it is for nobody
        decode(value)


async def test_a_stream_goes_on_where_it_was(own: Opened) -> None:
    stream = own()
    await begin(stream)
    await stream.execute(sql("INSERT INTO half VALUES (?)", 2**60))
    assert await stream.execute(sql("SELECT a FROM half"), last=True) == [{"a": 2**60}]
    with pytest.raises(StatementError, match="no such table: half"):
        await stream.execute(sql("SELECT a FROM half"))


async def test_a_stream_goes_on_after_an_error(own: Opened) -> None:
    stream = own()
    await begin(stream)
    with pytest.raises(StatementError):
        await stream.execute(sql("SELEC"))
    assert await stream.execute(sql("SELECT a FROM half")) == []


async def test_a_closed_stream_is_gone(own: Opened) -> None:
    stream = own()
    await stream.close()
    await begin(stream)
    await stream.close()
    with pytest.raises(StatementError, match="no such table"):
        await stream.execute(sql("SELECT a FROM half"))


async def test_a_batch_says_which_statement_failed(own: Opened) -> None:
    create, insert = sql("CREATE TABLE t (a UNIQUE)"), sql("INSERT INTO t VALUES (?)", 5)
    stream = own()
    with pytest.raises(ConstraintError, match=r"UNIQUE constraint failed: t.a") as caught:
        await stream.batch([create, insert, insert])
    assert caught.value.statement == 2
    with pytest.raises(StatementError, match="no such table: t"):
        await stream.execute(insert)
    assert await stream.batch([create, insert, sql("SELECT a FROM t")]) == [[], [], [{"a": 5}]]


async def test_what_only_comes_out_at_the_end_undoes_a_batch_too(own: Opened) -> None:
    stream = own()
    await stream.execute(sql("PRAGMA foreign_keys = ON"))
    with pytest.raises(ConstraintError, match="FOREIGN KEY constraint failed") as caught:
        await stream.batch([
            sql("CREATE TABLE t (a PRIMARY KEY)"),
            sql("CREATE TABLE u (a REFERENCES t DEFERRABLE INITIALLY DEFERRED)"),
            sql("INSERT INTO u VALUES (1)"),
        ])  # fmt: skip
    assert caught.value.statement is None
    with pytest.raises(StatementError, match="no such table: u"):
        await stream.execute(sql("SELECT a FROM u"))


async def test_a_batch_that_meets_another_s_lock_waits_and_goes_on(own: Opened) -> None:
    first, second = own(), own()
    await first.execute(sql("BEGIN IMMEDIATE"))
    with pytest.raises(DatabaseUnavailable, match=r"no answer in 0.2 s"):
        await own(timeout=0.2).batch([sql("SELECT 1 AS a")])
    assert await second.batch([sql("SELECT 1 AS a")], writes=False) == [[{"a": 1}]]
    await first.execute(sql("ROLLBACK"), last=True)
    assert await second.batch([sql("SELECT 1 AS a")], last=True) == [[{"a": 1}]]


@pytest.mark.parametrize(
    ("text", "values", "reason"),
    [
        ("SELEC 1", (), "SQL_PARSE_ERROR"),
        ("SELECT 1; SELECT 2", (), "SQL_MANY_STATEMENTS"),
        ("SELECT ?", (), "ARGS_INVALID"),
        ("SELECT ?", (1, 2), "ARGS_INVALID"),
        ("SELECT zeroblob(?)", (2**30,), "SQLITE_TOOBIG"),
        (MEGABYTES, (12,), "RESPONSE_TOO_LARGE"),
    ],
)
async def test_statements_that_are_refused(
    opened: Opened, text: str, values: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(StatementError, match=f"^{reason}"):
        await opened().execute(sql(text, *values))


async def test_rows_that_are_too_many_are_not_read(opened: Opened) -> None:
    assert len(await opened().execute(sql(MEGABYTES, 7))) == 7
    with pytest.raises(StatementError, match=f"its rows are more than {MAX_ANSWER_BYTES} bytes"):
        await opened().execute(sql(MEGABYTES, 9))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("refuse", "no answer: "),
        ("cut", "no answer: "),
        ("garbage", "the answer is not Hrana"),
        ("status-500", "HTTP 500"),
        ("status-413", "HTTP 413"),
        ("status-404", "HTTP 404"),
        ("status-302", "HTTP 302"),
        ("status-429", "HTTP 429"),
        ("astray", "it goes on at an address that is not safe to call"),
    ],
)
async def test_a_server_that_cannot_be_used(opened: Opened, fault: str, reason: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=f"^{re.escape(reason)}") as caught:
        await opened(fault).execute(sql("SELECT ?", "private"))
    assert caught.value.untouched == (fault == "status-429")
    assert_says_nothing(caught.value, "private")


async def test_a_server_that_says_nothing_is_not_waited_for(opened: Opened) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"^no answer in 0.1 s") as caught:
        await opened("silent", timeout=0.1).execute(sql("SELECT ?", "private"))
    assert not caught.value.untouched
    assert_says_nothing(caught.value, "private")


def ok(*responses: Json) -> Json:
    return {"results": [{"type": "ok", "response": response} for response in responses]}


ROWS = {"cols": [{"name": "a"}], "rows": [[{"type": "integer", "value": "7"}]]}
EXECUTED = {"type": "execute", "result": ROWS}
CLOSED = {"type": "close"}
WRONG_ROW = {"cols": [{"name": "a"}], "rows": [[]]}


def steps(*results: Json | None) -> Json:
    return ok({
        "type": "batch",
        "result": {"step_results": results, "step_errors": [None] * len(results)},
    })  # fmt: skip


ANSWERS = [
    ([], "the answer is not Hrana"),
    (ok(), "the answer is not Hrana"),
    (ok(EXECUTED, CLOSED), "the answer is not Hrana"),
    (ok(CLOSED), "the answer is not Hrana"),
    (ok(EXECUTED | {"result": WRONG_ROW}), "the answer is not Hrana"),
    (steps(ROWS, ROWS, None), "the answer is not Hrana"),
    (steps(ROWS, WRONG_ROW, ROWS, None), "the answer is not Hrana"),
    (
        {"results": [{"type": "error", "error": {"message": "private", "code": "SQLITE_BUSY"}}]},
        "SQLITE_BUSY",
    ),
]


@pytest.mark.parametrize(("answer", "reason"), ANSWERS)
async def test_an_answer_that_does_not_fit(
    opened: Opened, standins: StandinsView, marker: str, answer: object, reason: str
) -> None:
    await standins.tell_libsql(marker, json.dumps(answer).encode())
    for attempt in (
        opened("told", marker).execute(sql("SELECT 7 AS a")),
        opened("told", marker).batch([sql("SELECT 7 AS a")]),
    ):
        with pytest.raises(DatabaseUnavailable, match=f"^{reason}$"):
            await attempt


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    content=st.binary()
    | st.one_of(
        JSON,
        st.fixed_dictionaries({"results": JSON}, optional={"baton": JSON, "base_url": JSON}),
        st.builds(ok, st.fixed_dictionaries({"type": st.just("execute"), "result": JSON})),
        st.just(ok(EXECUTED)),
    ).map(lambda value: json.dumps(value).encode())
)
async def test_any_answer_is_rows_or_an_error(
    opened: Opened, standins: StandinsView, content: bytes
) -> None:
    name = new_name()
    await standins.tell_libsql(name, content)
    try:
        rows = await opened("told", name).execute(sql("SELECT 7 AS a"))
    except DatabaseError as error:
        assert_says_nothing(error, KEY)
    else:
        assert rows == [{"a": 7}]


async def test_an_answer_without_an_end_is_left(opened: Opened) -> None:
    with pytest.raises(StatementError, match="its rows are more than"):
        await opened("endless").execute(sql("SELECT 1"))


async def test_a_request_that_makes_no_sense_to_the_server(opened: Opened) -> None:
    with pytest.raises(StatementError, match=r"^HTTP 400$"):
        await opened("status-400").execute(sql("SELECT 1"))


async def test_a_stream_follows_the_server_to_its_other_address(
    opened: Opened, standins: StandinsView
) -> None:
    name = new_name()
    stream = opened("moved", name)
    await begin(stream)
    assert await stream.execute(sql("SELECT a FROM half"), last=True) == []
    assert await standins.libsql_hits(name) == 1


async def test_a_stream_does_not_outlive_its_server(server: LibsqlServer, own: Opened) -> None:
    stream = own()
    await begin(stream)
    await server.kill()
    await server.start()
    with pytest.raises(DatabaseUnavailable, match=r"^the stream is gone$") as caught:
        await stream.execute(sql("COMMIT"))
    assert caught.value.untouched
    with pytest.raises(StatementError, match="no such table: half"):
        await own().execute(sql("SELECT a FROM half"))


async def test_a_baton_is_good_once(own: Opened) -> None:
    stream, other = own(), own()
    await stream.execute(sql("SELECT 1"))
    vars(other)["_baton"] = vars(stream)["_baton"]
    await stream.execute(sql("SELECT 1"))
    with pytest.raises(DatabaseUnavailable, match=r"^the stream is gone$"):
        await other.execute(sql("SELECT 1"))


@pytest.mark.parametrize("token", ["forged", "nonsense"])
async def test_a_token_that_opens_nothing(
    server: LibsqlServer, http: httpx.AsyncClient, token: str
) -> None:
    secret = server.tokens.get(token, token)
    with pytest.raises(DatabaseAuthError, match=r"^the token is refused$") as caught:
        await Stream(server.url, SecretStr(secret), http).execute(sql("SELECT 1"))
    assert_says_nothing(caught.value, secret)


async def test_a_token_that_only_reads(
    server: LibsqlServer, own: Opened, http: httpx.AsyncClient
) -> None:
    await own().execute(sql("CREATE TABLE t (a)"), last=True)
    read = Stream(server.url, SecretStr(server.tokens["read"]), http)
    assert await read.batch([sql("SELECT a FROM t")], writes=False, last=True) == [[]]
    with pytest.raises(DatabaseAuthError, match=r"^the token does not allow this$"):
        await read.execute(sql("INSERT INTO t VALUES (1)"))


def assert_says_nothing(error: DatabaseError, secret: str) -> None:
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert secret not in str(error) + repr(error)
