"""A D1 binding's face over Python's sqlite3, for CPython, where no D1 can run.

It does to values what JavaScript does: see `service.database.d1`.
"""

import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from weakref import finalize

MIGRATIONS = Path(__file__).parents[2] / "migrations"
MEMORY = ":memory:"
_MAX_SAFE_INTEGER = 2**53 - 1


class JsError(Exception):
    """What D1 throws, in D1's words."""


class SqliteD1:
    """A new database, migrated: in memory, or in the file that D1_FILE names."""

    def __init__(self) -> None:
        file = os.environ.get("D1_FILE", "")
        if file:
            Path(file).unlink(missing_ok=True)
        # Nobody closes a binding, and from 3.13 on Python warns of connections left open. What
        # collects it may be a thread of the stand-ins.
        place = file or MEMORY
        self._connection = sqlite3.connect(place, isolation_level=None, check_same_thread=False)
        finalize(self, self._connection.close)
        self._connection.row_factory = sqlite3.Row
        for migration in sorted(MIGRATIONS.glob("*.sql")):
            self._connection.executescript(migration.read_text())

    def prepare(self, sql: str) -> "SqliteStatement":
        return SqliteStatement(self._connection, sql)

    async def batch(self, statements: "list[SqliteStatement]") -> list[Mapping[str, object]]:
        self._connection.execute("BEGIN")
        try:
            results = [await statement.all() for statement in statements]
        except JsError:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return results


class SqliteStatement:
    """A prepared statement and the values bound to it."""

    def __init__(self, connection: sqlite3.Connection, sql: str, *values: object) -> None:
        self._connection = connection
        self._sql = sql
        self._values = values

    def bind(self, *values: object) -> "SqliteStatement":
        return SqliteStatement(self._connection, self._sql, *map(_to_js, values))

    async def all(self) -> Mapping[str, object]:
        try:
            rows = self._connection.execute(self._sql, self._values).fetchall()
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
            plain = "_".join(name.split("_")[:2])
            raise JsError(f"D1_ERROR: {error}: {plain} (extended: {name})") from error
        results = [{name: _from_js(row[name]) for name in row.keys()} for row in rows]  # noqa: SIM118
        return {"success": True, "results": results, "meta": {}}


def _to_js(value: object) -> object:
    if isinstance(value, int) and abs(value) >= _MAX_SAFE_INTEGER:
        raise JsError(f"D1_TYPE_ERROR: Type 'bigint' not supported for value '{value}'")
    return float(value) if isinstance(value, int) else value


def _from_js(value: object) -> object:
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, int | float):
        number = float(value)
        safe = number.is_integer() and abs(number) <= _MAX_SAFE_INTEGER
        return int(number) if safe else number
    return value
