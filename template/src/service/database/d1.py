"""SQLAlchemy Core statements on a D1 binding."""

from collections.abc import Mapping, Sequence
from typing import Protocol, Self, cast

from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from service.web import Unavailable

_DIALECT = sqlite.dialect(paramstyle="qmark")

Row = Mapping[str, object]


class D1Statement(Protocol):
    """A prepared statement of the binding."""

    def bind(self, *values: object) -> Self: ...

    async def all(self) -> Mapping[str, object]: ...


class D1Binding(Protocol):
    """What the service uses of a D1 binding, as the Workers SDK presents it to Python."""

    def prepare(self, sql: str) -> D1Statement: ...


class DatabaseError(Unavailable):
    """The database did not do what it was asked; the cause says why."""

    answer = "The database cannot be used at the moment."


class D1:
    """Runs statements on D1; every statement is a transaction of its own."""

    def __init__(self, binding: D1Binding) -> None:
        self._binding = binding

    async def run(self, statement: ClauseElement) -> Sequence[Row]:
        """The rows that `statement` returns, each by column name. Raises DatabaseError."""
        sql, values = render(statement)
        try:
            result = await self._binding.prepare(sql).bind(*values).all()
        except Exception as error:  # JavaScript's errors have no class in common.
            raise DatabaseError(f"D1 failed at: {sql}") from error
        return cast("Sequence[Row]", result["results"])


def render(statement: ClauseElement) -> tuple[str, list[object]]:
    """A statement as SQLite's SQL and the values of its question marks, in order."""
    compiled = cast("SQLCompiler", statement.compile(dialect=_DIALECT))
    return str(compiled), [compiled.params[name] for name in compiled.positiontup or ()]
