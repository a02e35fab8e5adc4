"""The tables in the code are the tables that the migrations make."""

import sqlite3
from pathlib import Path

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from service.database.tables import metadata

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def schema(*statements: str) -> set[tuple[str, ...]]:
    database = sqlite3.connect(":memory:")
    for statement in statements:
        database.executescript(statement)
    tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master ORDER BY name")]
    columns = {(table, *map(str, row)) for table in tables for row in _describe(database, table)}
    database.close()
    return columns


def _describe(database: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    columns = database.execute("SELECT * FROM pragma_table_xinfo(?)", (table,)).fetchall()
    return columns + database.execute("SELECT * FROM pragma_index_xinfo(?)", (table,)).fetchall()


def test_migrations_and_code_agree() -> None:
    dialect = sqlite.dialect()
    made = [str(CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables]
    made += [
        str(CreateIndex(index).compile(dialect=dialect))
        for table in metadata.sorted_tables
        for index in table.indexes
    ]
    migrations = [path.read_text() for path in sorted(MIGRATIONS.glob("*.sql"))]
    assert schema(*migrations) == schema(*made)
