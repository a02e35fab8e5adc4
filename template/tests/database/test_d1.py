"""What is D1's alone."""

from typing import Any

import pytest
from sqlalchemy import BigInteger, Table, func, insert, literal, select, type_coerce, union

from service.database.base import Database, DatabaseUnavailable, StatementError
from service.database.d1 import D1


class Failing:
    """A double of the binding: what D1 throws when it is down, it does not throw here."""

    def __init__(self, message: str) -> None:
        self._message = message

    def prepare(self, _sql: str) -> Any:
        return self

    def bind(self, *_values: object) -> Any:
        return self

    async def all(self) -> Any:
        raise OSError(self._message)

    async def batch(self, _statements: object) -> Any:
        raise OSError(self._message)


@pytest.mark.parametrize(
    "message",
    [
        "D1_ERROR: Network connection lost.",
        "D1_ERROR: D1 DB is overloaded. Requests queued for too long.",
        "D1_ERROR: Internal error while starting up D1 DB storage caused object to be reset.",
        "",
    ],
)
async def test_with_a_double_of_the_binding_what_is_down_is_unavailable(message: str) -> None:
    database = D1(Failing(message))
    for attempt in (database.run(select(1)), database.batch([select(1)])):
        with pytest.raises(DatabaseUnavailable, match=r"^D1 failed: OSError$") as caught:
            await attempt
        assert not caught.value.untouched


@pytest.mark.parametrize("large", [2**53, 2**53 + 1, -(2**53), 2**62 + 1])
async def test_a_large_integer_is_never_rounded_in_silence(
    database: Database, table: Table, large: int
) -> None:
    await database.run(insert(table).values(big=large))
    as_small = select(func.max(table.c.big, type_=table.c.small.type))
    with pytest.raises(StatementError, match="its column is a BigInteger"):
        await database.run(as_small)
    as_big = select(type_coerce(as_small.scalar_subquery(), BigInteger).label("most"))
    assert await database.run(as_big) == [{"most": large}]


@pytest.mark.parametrize("number", [2**53 - 1, -(2**53) + 1])
async def test_an_integer_below_is_read_as_it_is(
    database: Database, table: Table, number: int
) -> None:
    await database.run(insert(table).values(big=number))
    as_small = select(func.max(table.c.big, type_=table.c.small.type).label("most"))
    assert await database.run(as_small) == [{"most": number}]


async def test_a_union_that_would_be_sorted_as_text_is_refused(
    database: Database, table: Table
) -> None:
    both = union(select(table.c.big), select(literal(2**60)))
    with pytest.raises(TypeError, match=r"select from its subquery"):
        await database.run(both.order_by("big"))
    assert await database.run(both) == [{"big": 2**60}]


async def test_an_integer_column_takes_no_text(database: Database, table: Table) -> None:
    with pytest.raises(ValueError, match=r"^an Integer takes an int, not a str$"):
        await database.run(insert(table).values(small="7"))
