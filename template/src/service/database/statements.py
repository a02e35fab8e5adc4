"""From SQLAlchemy Core to SQLite's SQL and back: texts, values and rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import isfinite
from typing import Any, TypeAlias

from sqlalchemy import CompoundSelect, Select
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler, SQLiteDialect
from sqlalchemy.engine import Compiled
from sqlalchemy.sql import ClauseElement

from service.database.base import Parameters, Row

Value: TypeAlias = int | float | str | bytes | None
"""What SQLite holds."""

MAX_COMPILED = 100
"""Compiled statements that are kept."""

_LEAST, _MOST = -(2**63), 2**63 - 1


class Compiler(SQLiteCompiler):
    """SQLite's, which also says how values get there and come back, by their names."""

    @cached_property
    def writers(self) -> Mapping[str, Callable[[object], object] | None]:
        """What turns values into SQLite's, where their types have something."""
        return {
            name: bind.type.dialect_impl(self.dialect).bind_processor(self.dialect)
            for name, bind in self.binds.items()
        }

    @cached_property
    def readers(self) -> Mapping[str, Callable[[object], object]]:
        """What turns SQLite's values back, where the columns' types have something."""
        dialect = self.dialect
        processors = {
            column.keyname: column.type.dialect_impl(dialect).result_processor(dialect, None)
            for column in self._result_columns
        }
        return {name: process for name, process in processors.items() if process}


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


def prepare(
    statement: ClauseElement, dialect: Dialect, parameters: Parameters | None = None
) -> Prepared:
    """Compile a statement. Raises ValueError for a value that SQLite does not hold as it is."""
    if parameters is None:
        compiled = _compile(statement, dialect)
    else:
        compiled = _compile_once(statement, dialect, tuple(parameters))
    if not isinstance(compiled, Compiler):  # DDL has no values
        return Prepared(str(compiled), (), reads=False, _readers={})
    expanded = compiled.construct_expanded_state(parameters)
    writers = {**compiled.writers, **expanded.processors}
    names = expanded.positiontup or ()
    values = [_written(expanded.parameters[name], writers.get(name)) for name in names]
    return Prepared(
        expanded.statement,
        values,
        reads=isinstance(statement, Select | CompoundSelect),
        _readers=compiled.readers,
    )


def _compile(
    statement: ClauseElement, dialect: Dialect, names: Sequence[str] | None = None
) -> Compiled:
    # DDL does not have the option.
    options: dict[str, Any] = {} if names is None else {"column_keys": names}
    compiled = statement.compile(dialect=dialect, **options)
    if isinstance(compiled, Compiler):
        _refuse_defaults(compiled)
        if unknown := {*(names or ())} - compiled.binds.keys():
            raise TypeError(f"the statement takes no {', '.join(sorted(unknown))}")
    return compiled


_compile_once = lru_cache(MAX_COMPILED)(_compile)


def _refuse_defaults(compiled: Compiler) -> None:
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
