"""What goes into the database comes out of it, exactly: on every database the same."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    union,
)

from service.database.base import Database

# One table serves all examples of a test: each begins by emptying it.
PROPERTY = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from(
    [base + delta for base in (-(2**53), 0, 2**31, 2**53) for delta in (-2, -1, 0, 1, 2)]
)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8")) | st.sampled_from(["", "a\0b", "\0", "🦀 naïve 中文"])
ZONES = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))
FIRST, LAST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001 - without zones until drawn
MOMENTS = st.datetimes(FIRST, LAST, timezones=ZONES)
VALUES = {
    "big": INTEGERS,
    "small": st.integers(-(2**53) + 1, 1_999_999_999),
    "number": FLOATS,
    "text": TEXTS,
    "blob": st.binary(),
    "flag": st.booleans(),
    "moment": MOMENTS,
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}),
    min_size=1,
    max_size=5,
    unique_by=lambda row: row["big"] if row["big"] is not None else object(),
)


@PROPERTY
@given(rows=ROWS)
async def test_values_round_trip(
    database: Database, table: Table, rows: list[dict[str, Any]]
) -> None:
    written = [{"id": number, **row} for number, row in enumerate(rows)]
    inserts = [insert(table).values(**row).returning(table) for row in written]
    *returned, read = await database.batch(
        [delete(table), *inserts, select(table).order_by(table.c.id)]
    )
    for rows_read in ([row for rows in returned for row in rows], read):
        assert rows_read == written
        for before, after in zip(written, rows_read, strict=True):
            assert all(type(after[name]) is type(value) for name, value in before.items())


@PROPERTY
@given(row=st.fixed_dictionaries(VALUES))
async def test_values_are_found_again(
    database: Database, table: Table, row: dict[str, Any]
) -> None:
    tests = [test for n, v in row.items() for test in (table.c[n] == v, table.c[n].in_([v]))]
    _, _, *found = await database.batch([
        delete(table),
        insert(table).values(id=1, **row),
        *(select(table.c.id).where(test) for test in tests),
    ])  # fmt: skip
    assert found == [[{"id": 1}]] * len(tests)


@PROPERTY
@given(rows=ROWS)
async def test_parameters_are_values_of_a_statement_compiled_once(
    database: Database, table: Table, rows: list[dict[str, Any]]
) -> None:
    await database.run(delete(table))
    add = insert(table).returning(table)
    some = select(table).where(table.c.id.in_(bindparam("ids"))).order_by(table.c.id)
    for number, row in enumerate(rows):
        written = {"id": number, **row}
        assert await database.run(add, written) == [written]
        assert await database.run(some, {"ids": [number, -1]}) == [written]
    found = await database.run(some, {"ids": [*range(len(rows))]})
    assert found == [{"id": number, **row} for number, row in enumerate(rows)]


async def test_an_insert_may_have_other_parameters_each_time(
    database: Database, table: Table
) -> None:
    add = insert(table)
    await database.run(add, {"id": 1, "text": "a"})
    await database.run(add, {"id": 2, "number": 0.5})
    rows = await database.run(select(table.c.text, table.c.number).order_by(table.c.id))
    assert rows == [{"text": "a", "number": None}, {"text": None, "number": 0.5}]


async def test_a_parameter_that_the_statement_does_not_take_is_refused(
    database: Database, table: Table
) -> None:
    with pytest.raises(TypeError, match="takes no nmber"):
        await database.run(insert(table), {"id": 1, "nmber": 0.5})


async def test_a_moment_comes_back_in_utc(database: Database, table: Table) -> None:
    tokyo = datetime(2026, 11, 24, 3, 30, tzinfo=timezone(timedelta(hours=9)))
    await database.run(insert(table).values(moment=tokyo))
    ((row,),) = await database.batch([select(table.c.moment)])
    assert repr(row["moment"]) == repr(tokyo.astimezone(UTC))


async def test_moments_sort_by_when_they_were(database: Database, table: Table) -> None:
    early = datetime(2026, 11, 24, 23, 0, tzinfo=timezone(timedelta(hours=9)))
    late = datetime(2026, 11, 24, 14, 0, 0, 1, tzinfo=UTC)
    for number, moment in enumerate([late, early]):
        await database.run(insert(table).values(id=number, moment=moment))
    rows = await database.run(select(table.c.id).order_by(table.c.moment))
    assert [row["id"] for row in rows] == [1, 0]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("number", float("inf")),
        ("number", float("nan")),
        ("big", 2**63),
        ("big", -(2**63) - 1),
        ("text", "secret \ud800"),
        ("text", ["secret"]),
        ("flag", "secret"),
        ("moment", datetime(2026, 11, 24)),  # noqa: DTZ001 - that is what is wrong with it
        ("moment", datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))),
    ],
)
async def test_what_no_database_holds_is_refused_without_being_told(
    database: Database, table: Table, column: str, value: object
) -> None:
    statement = insert(table).values({column: value})
    for attempt in (database.run(statement), database.batch([statement])):
        with pytest.raises(ValueError, match=r"^[a-zA-Z0-9 ]+(: [\w.() ]+)?$") as caught:
            await attempt
        assert "secret" not in str(caught.value)
    assert await database.run(select(table)) == []


async def test_integers_are_calculated_with_as_integers(database: Database, table: Table) -> None:
    await database.run(insert(table).values(id=7, big=2**60, small=7))
    statement = select(
        (table.c.big + 1).label("sum"),
        (table.c.small / literal(2.0)).label("ratio"),
        (table.c.small // 2).label("half"),
        func.typeof(literal(7)).label("type"),
        func.count().label("count"),
        func.max(table.c.big).label("most"),
    )
    assert await database.run(statement) == [
        {"sum": 2**60 + 1, "ratio": 3.5, "half": 3, "type": "integer", "count": 1, "most": 2**60}
    ]


async def test_large_integers_sort_as_numbers(database: Database, table: Table) -> None:
    numbers = [9, 10, -(2**62), 2**62, 100]
    await database.batch([insert(table).values(big=number) for number in numbers])
    big, label = table.c.big, table.c.big.label("value")
    both = union(select(big), select(big + 0)).subquery()
    for statement in (
        select(big).order_by(big),
        select(label).order_by(label),
        select(label).order_by("value"),
        select(label).distinct().order_by(label),
        select(both.c.big).order_by(both.c.big),
    ):
        rows = await database.run(statement)
        assert [value for row in rows for value in row.values()] == sorted(numbers)


async def test_a_default_that_nothing_would_call_is_refused(database: Database) -> None:
    table = Table(
        "t", MetaData(), Column("id", Integer, primary_key=True), Column("a", Text, default="x")
    )
    with pytest.raises(TypeError, match=r"give t\.a a value"):
        await database.run(insert(table).values(id=1))
