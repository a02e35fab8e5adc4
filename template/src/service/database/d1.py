"""SQLAlchemy Core statements on a D1 binding.

Its values go through JavaScript, where every number is a double. An integer would be stored as 1.0
wherever a column takes both, larger ones than 2**53 would be refused, and rounded when read. So
integers travel as text: to the database all of them, from it those of BigInteger columns.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self, cast

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    CompoundSelect,
    Float,
    Integer,
    Text,
    type_coerce,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.engine import Dialect as AnyDialect
from sqlalchemy.sql import ClauseElement

from service.context import Context
from service.database.base import (
    DATABASE,
    DatabaseError,
    DatabaseUnavailable,
    Parameters,
    Row,
    StatementError,
    failure,
)
from service.database.statements import Compiler, Dialect, Prepared, prepare
from service.settings import binding

_EXACT = 2**53
"""Integers below are exact in JavaScript."""

# Of what is said without SQLite's code: the statement's fault, not the database's.
_REFUSALS = ("D1_TYPE_ERROR", "Wrong number of parameter bindings", "No SQL statements detected")


class D1Statement(Protocol):
    """A prepared statement of the binding."""

    def bind(self, *values: object) -> Self: ...

    async def all(self) -> Mapping[str, object]: ...


class D1Binding(Protocol):
    """What the service uses of a D1 binding, as the Workers SDK presents it to Python."""

    def prepare(self, sql: str) -> D1Statement: ...

    async def batch(self, statements: list[D1Statement]) -> Sequence[Mapping[str, object]]: ...


class D1:
    """Runs statements on D1: a `Database`.

    It does not repeat any: D1 itself repeats what only reads.
    """

    def __init__(self, binding: D1Binding) -> None:
        self._binding = binding

    async def run(
        self, statement: ClauseElement, parameters: Parameters | None = None
    ) -> Sequence[Row]:
        """See `Database`."""
        prepared = prepare(statement, _DIALECT, parameters)
        try:
            result = await self._bound(prepared).all()
        except Exception as error:  # noqa: BLE001 - JavaScript's errors have no class in common
            raise _failure(error) from None
        return prepared.rows(_results(result))

    async def batch(self, statements: Sequence[ClauseElement]) -> Sequence[Sequence[Row]]:
        """See `Database`."""
        prepared = [prepare(statement, _DIALECT) for statement in statements]
        if not prepared:
            return []
        try:
            results = await self._binding.batch([self._bound(each) for each in prepared])
        except Exception as error:  # noqa: BLE001 - as above
            raise _failure(error) from None
        pairs = zip(prepared, results, strict=True)
        return [each.rows(_results(result)) for each, result in pairs]

    def _bound(self, prepared: Prepared) -> D1Statement:
        return self._binding.prepare(prepared.sql).bind(*prepared.values)


def d1(context: Context) -> D1:
    return D1(binding(context.env, "DB"))


feature = (DATABASE.by(d1),)


def _results(result: Mapping[str, object]) -> Sequence[Row]:
    return cast("Sequence[Row]", result["results"])


def _failure(error: Exception) -> DatabaseError:
    # The original is named, not chained: it can quote a value.
    text = str(error)
    if found := re.search(r": (SQLITE_[A-Z]+)(?: \(extended: \w+\))?\Z", text):
        return failure(found[1], text)
    for refusal in _REFUSALS:
        if refusal in text:
            return StatementError(f"D1 refuses the statement: {refusal}")
    return DatabaseUnavailable(f"D1 failed: {type(error).__name__}")


class _Integer(Integer):
    """Travels to the database as text."""

    def bind_processor(self, dialect: AnyDialect) -> Callable[[object], str | None]:
        del dialect
        return _text

    def bind_expression(self, bindvalue: BindParameter[int]) -> ColumnElement[int]:
        return sql_cast(type_coerce(bindvalue, self), Integer)

    def result_processor(self, dialect: AnyDialect, coltype: object) -> Callable[[Any], Any]:
        del dialect, coltype
        return _exact


class _BigInteger(_Integer):
    """Travels back as text, too."""

    def column_expression(self, column: ColumnElement[int]) -> ColumnElement[int]:
        return type_coerce(sql_cast(column, Text), self)

    def result_processor(self, dialect: AnyDialect, coltype: object) -> Callable[[Any], Any]:
        del dialect, coltype
        return lambda value: int(value) if isinstance(value, str) else _exact(value)


class _Float(Float[float]):
    """Comes back as an integer where it could be one."""

    def result_processor(self, dialect: AnyDialect, coltype: object) -> Callable[[Any], Any]:
        del dialect, coltype
        return lambda value: float(value) if isinstance(value, int) else value


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, int):
        raise ValueError(f"an Integer takes an int, not a {type(value).__name__}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("an integer has more than 64 bits")
    return None if value is None else str(int(value))


def _exact(value: object) -> object:
    if isinstance(value, int | float) and abs(value) >= _EXACT:
        raise StatementError("an integer is too large for JavaScript: its column is a BigInteger")
    return value


class _D1Compiler(Compiler):
    def visit_label(self, *args: Any, render_label_as_label: Any = None, **kw: Any) -> str:
        # To sort by a BigInteger's name would be to sort by the text that it travels as.
        del render_label_as_label
        sqlite: Any = super()
        return str(sqlite.visit_label(*args, **kw))

    def order_by_clause(self, select: Any, **kw: Any) -> str:
        sqlite: Any = super()
        clause = str(sqlite.order_by_clause(select, **kw))
        if clause and isinstance(select, CompoundSelect) and len(self.stack) == 1:
            self._refuse_texts(select)
        return clause

    @staticmethod
    def _refuse_texts(union: Any) -> None:
        # SQLite sorts a union by the columns that it returns, and by nothing else.
        if any(isinstance(column.type, BigInteger) for column in union.exported_columns):
            raise TypeError("to sort a union by a BigInteger on D1, select from its subquery()")


class _D1Dialect(Dialect):
    statement_compiler = _D1Compiler
    supports_statement_cache = True

    def __init__(self) -> None:
        super().__init__()
        travelling = {Integer: _Integer, BigInteger: _BigInteger, Float: _Float}
        self.colspecs = {**self.colspecs, **travelling}


_DIALECT = _D1Dialect()
