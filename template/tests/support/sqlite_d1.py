"""A D1 binding's face over Python's sqlite3, for CPython, where no D1 can run."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from weakref import finalize

MIGRATIONS = Path(__file__).parents[2] / "migrations"


class SqliteD1:
    """A new database in memory, migrated."""

    def __init__(self) -> None:
        # Nobody closes a binding, and from 3.13 on Python warns of connections left open. What
        # collects it may be a thread of the stand-ins.
        self._connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        finalize(self, self._connection.close)
        self._connection.row_factory = sqlite3.Row
        for migration in sorted(MIGRATIONS.glob("*.sql")):
            self._connection.executescript(migration.read_text())

    def prepare(self, sql: str) -> "SqliteStatement":
        return SqliteStatement(self._connection, sql)


class SqliteStatement:
    """A prepared statement and the values bound to it."""

    def __init__(self, connection: sqlite3.Connection, sql: str, *values: object) -> None:
        self._connection = connection
        self._sql = sql
        self._values = values

    def bind(self, *values: object) -> "SqliteStatement":
        return SqliteStatement(self._connection, self._sql, *values)

    async def all(self) -> Mapping[str, object]:
        rows = self._connection.execute(self._sql, self._values).fetchall()
        return {"success": True, "results": [dict(row) for row in rows], "meta": {}}
