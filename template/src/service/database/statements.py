"""From SQLAlchemy Core to SQLite's SQL and back: texts, values and rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeAlias

from sqlalchemy import CompoundSelect, Select
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler, SQLiteDialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from service.database.base import Row

Value: TypeAlias = int | float | str | bytes | None
"""What SQLite holds."""

_LEAST, _MOST = -(2**63), 2**63 - 1


class Compiler(SQLiteCompiler):
    """SQLite's, which also says what comes back."""

    @property
    def result_types(self) -> Mapping[str, TypeEngine[object]]:
        """The types of the columns that the statement returns, by their names."""
        return {column.keyname: column.type for column in self._result_columns}


class Dialect(SQLiteDialect):
    """SQLite's SQL, in which every value is a question mark."""

    statement_compiler = Compiler
    supports_statement_cache = True


@dataclass(frozen=True)
class Prepared:
    """A statement as SQL and the values of its question marks, in order."""

    sql: str
    values: Sequence[Value] = field(repr=False)
    reads: bool
    """Whether it only reads, so that running it once more does no harm."""
    _readers: Mapping[str, Callable[[object], object]] = field(repr=False)

    def rows(self, found: Iterable[Row]) -> list[Row]:
        """The rows as their columns' types have it."""
        readers = self._readers.items()
        return [{**row, **{name: read(row[name]) for name, read in readers}} for row in found]


def prepare(statement: ClauseElement, dialect: Dialect) -> Prepared:
    """Compile a statement. Raises ValueError for a value that SQLite does not hold as it is."""
    compiled = statement.compile(dialect=dialect)
    if not isinstance(compiled, Compiler):  # DDL has no values
        return Prepared(str(compiled), (), reads=False, _readers={})
    _refuse_defaults(compiled)
    expanded = compiled.construct_expanded_state()
    processors = {**_writers(compiled, dialect), **expanded.processors}
    names = expanded.positiontup or ()
    values = [_written(expanded.parameters[name], processors.get(name)) for name in names]
    return Prepared(
        expanded.statement,
        values,
        reads=isinstance(statement, Select | CompoundSelect),
        _readers=_readers(compiled, dialect),
    )


def _writers(
    compiled: Compiler, dialect: Dialect
) -> Mapping[str, Callable[[object], object] | None]:
    return {
        name: bind.type.dialect_impl(dialect).bind_processor(dialect)
        for name, bind in compiled.binds.items()
    }


def _readers(compiled: Compiler, dialect: Dialect) -> Mapping[str, Callable[[object], object]]:
    processors = {
        name: kind.dialect_impl(dialect).result_processor(dialect, None)
        for name, kind in compiled.result_types.items()
    }
    return {name: process for name, process in processors.items() if process}


def _refuse_defaults(compiled: SQLCompiler) -> None:
    # They are called by SQLAlchemy's engine, which has no part in this.
    columns = [*compiled.insert_prefetch, *compiled.update_prefetch]
    if columns:
        names = ", ".join(str(column) for column in columns)
        raise TypeError(f"default= and onupdate= do nothing here: give {names} a value")


def _written(value: object, process: Callable[[Any], object] | None) -> Value:
    try:
        return _checked(process(value) if process else value)
    except TypeError:
        # SQLAlchemy's words for it quote the value.
        kind = type(value).__name__
        raise ValueError(f"a column does not take a value of the type {kind}") from None


def _checked(value: object) -> Value:
    match value:
        case int() if not _LEAST <= value <= _MOST:
            raise ValueError("an integer has more than 64 bits")
        case float() if not isfinite(value):
            raise ValueError("a number is not finite")
        case str() if not _is_unicode(value):
            raise ValueError("a text has a lone surrogate")
        case float():
            return value + 0.0  # SQLite's zero has no sign
        case None | int() | str() | bytes():
            return value
    raise ValueError(f"SQLite has no type for a {type(value).__name__}")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
