"""How a database fails: in the same words, whichever it is, and without a value in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, func, insert, literal, select
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import ClauseElement

from service.database.base import (
    ConstraintError,
    Database,
    DatabaseAuthError,
    DatabaseError,
    DatabaseUnavailable,
    StatementError,
)
from service.database.base import failure as sqlite_failure

PRIVATE = "a private value"
NOWHERE = Table("nowhere", MetaData(), Column("id", Integer, primary_key=True), Column("a", Text))


async def failure(database: Database, statement: ClauseElement) -> DatabaseError:
    with pytest.raises(DatabaseError) as caught:
        await database.run(statement)
    error = caught.value
    # Chained, it would be shown with what it hides.
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert PRIVATE not in str(error) + repr(error)
    return error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SQLITE_CONSTRAINT", ConstraintError),
        ("SQLITE_ERROR", StatementError),
        ("SQLITE_AUTH", DatabaseAuthError),
        ("SQLITE_READONLY", DatabaseAuthError),
        ("SQLITE_BUSY", DatabaseUnavailable),
        ("SQLITE_IOERR", DatabaseUnavailable),
        ("BLOCKED", DatabaseUnavailable),
        ("", StatementError),
        ("a code; with more", StatementError),
    ],
)
def test_a_code_says_what_kind_of_failure_it_is(code: str, kind: type[DatabaseError]) -> None:
    error = sqlite_failure(code, "whatever")
    assert type(error) is kind
    if isinstance(error, DatabaseUnavailable):
        assert error.untouched == (code == "SQLITE_BUSY")


@given(before=st.text(), after=st.text(), code=st.sampled_from(["SQLITE_ERROR", PRIVATE]))
def test_of_a_message_only_names_of_the_schema_are_told(before: str, after: str, code: str) -> None:
    messages = [
        f"{before}{PRIVATE}{after}",
        f"{before}no such table: {after}{PRIVATE}",
        f'fts5: syntax error near "{PRIVATE}"',
        f"bad JSON path: '{PRIVATE}'",
    ]
    for message in messages:
        assert PRIVATE not in str(sqlite_failure(code, message))


async def test_a_row_that_is_there_already(database: Database, table: Table) -> None:
    row = insert(table).values(big=5, text=PRIVATE)
    await database.run(row)
    error = await failure(database, row)
    assert isinstance(error, ConstraintError)
    assert str(error) == f"SQLITE_CONSTRAINT: UNIQUE constraint failed: {table.name}.big"


async def test_a_check_that_fails(database: Database, table: Table) -> None:
    error = await failure(database, insert(table).values(small=2_000_000_000, text=PRIVATE))
    assert isinstance(error, ConstraintError)
    assert str(error) == "SQLITE_CONSTRAINT: CHECK constraint failed"


async def test_a_table_that_is_not_there(database: Database) -> None:
    error = await failure(database, insert(NOWHERE).values(a=PRIVATE))
    assert isinstance(error, StatementError)
    assert str(error).endswith(": no such table: nowhere")


async def test_a_function_that_is_not_there(database: Database) -> None:
    error = await failure(database, select(func.no_such(PRIVATE)))
    assert isinstance(error, StatementError)
    assert str(error).endswith(": no such function: no_such")


async def test_a_table_that_is_there_already(database: Database, table: Table) -> None:
    error = await failure(database, CreateTable(table))
    assert isinstance(error, StatementError)


async def test_a_message_that_could_quote_a_value_is_not_told(database: Database) -> None:
    path = func.json_extract(literal('{"a": 1}'), f"{PRIVATE}[")
    error = await failure(database, select(path))
    assert isinstance(error, StatementError)


async def test_a_batch_happens_or_does_not(database: Database, table: Table) -> None:
    good, bad = insert(table).values(big=1, text=PRIVATE), insert(table).values(big=1)
    for statements in ([good, bad], [bad, good], [good, insert(NOWHERE).values(a="x")]):
        with pytest.raises(DatabaseError):
            await database.batch(statements)
        assert await database.run(select(table)) == []
    first, second = await database.batch([good.returning(table.c.text), select(table.c.big)])
    assert (first, second) == ([{"text": PRIVATE}], [{"big": 1}])


async def test_a_batch_of_nothing_is_nothing(database: Database) -> None:
    assert await database.batch([]) == []
