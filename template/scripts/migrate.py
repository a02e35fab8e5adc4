"""Apply migrations/*.sql to a Turso database, each once, in order, and as a transaction.

    npm run migrate -- --env production     the database of that environment in wrangler.toml
    npm run migrate -- --local              the one in .dev.vars, its token included
    npm run migrate -- --status             say what would be done, and change nothing

The token is read from TURSO_AUTH_TOKEN. TURSO_DATABASE_URL, where it is set, goes before
wrangler.toml. What was applied stands in the database's table schema_migrations: a file's name, the
SHA-256 of its text, and when.
"""

import argparse
import asyncio
import os
import re
import sqlite3
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from sqlalchemy import Column, MetaData, Table, Text, insert, select
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import ClauseElement

from service.database.base import ConstraintError, DatabaseError, Row, StatementError
from service.database.hrana import Statement, Stream
from service.database.statements import Dialect, prepare
from service.database.turso import TursoSettings
from service.database.types import UtcDateTime
from service.http import client
from service.settings import Environment, SettingsError

PROJECT = Path(__file__).parents[1]
NAMES = ("TURSO_DATABASE_URL", "TURSO_AUTH_TOKEN")
FILE = re.compile(r"(?!0000)[0-9]{4}_\w+\.sql")
TEMPLATE = 1
"""The number of all migrations that come with the template. The project's own begin after it, so an
update of the template never takes a number that a project has."""
# A migration is one transaction already; a COMMIT of its own would cut it in two.
TRANSACTION = re.compile(r"\s*(BEGIN|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE)
COMMENT = re.compile(r"\s*(--[^\n]*(\n|\Z)|/\*.*?\*/)", re.DOTALL)

APPLIED = Table(
    "schema_migrations",
    MetaData(),
    Column("name", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("applied_at", UtcDateTime, nullable=False),
)
TABLES = Table("sqlite_master", MetaData(), Column("type", Text), Column("name", Text))


class MigrationError(Exception):
    """The migrations cannot be applied; the message says why, and what to do."""


@dataclass(frozen=True)
class Migration:
    """A file of migrations/."""

    name: str
    text: str

    @property
    def number(self) -> int:
        return int(self.name[:4])

    @property
    def sha256(self) -> str:
        return sha256(self.text.encode()).hexdigest()

    def statements(self) -> list[str]:
        """Its statements. Raises MigrationError for what cannot be part of a transaction."""
        statements = list(_split(self.text))
        for statement in statements:
            if found := TRANSACTION.match(statement):
                raise MigrationError(
                    f"{self.name}: remove {found[1].upper()}: the file as a whole is a transaction"
                )
        return statements


def _split(text: str) -> Iterator[str]:
    """The statements of a text, without the comments before them."""
    statement = ""
    for part in re.split(r"(?<=;)", text):
        statement += part
        if sqlite3.complete_statement(statement):
            yield from _without_comments(statement)
            statement = ""
    yield from _without_comments(statement)


def _without_comments(statement: str) -> Iterator[str]:
    while found := COMMENT.match(statement):
        statement = statement[found.end() :]
    if statement.strip(" \t\r\n;"):
        yield statement.strip()


def read(folder: Path) -> list[Migration]:
    """The migrations in order. Raises MigrationError for names that are not 0001_..., 0002_...

    Any number of them is 0001_..., see TEMPLATE.
    """
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        if not FILE.fullmatch(path.name):
            raise MigrationError(f"{path.name}: call it like {_next(migrations)}_what.sql")
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            raise MigrationError(f"{path.name}: save it as UTF-8") from None
        # Wherever git checks it out, and with whatever line ends, it is the same text.
        migrations.append(Migration(path.name, text.replace("\r\n", "\n")))
    before = Migration("0000", "")
    for migration in migrations:
        if migration.number == before.number > TEMPLATE:
            others = f"{before.name} and {migration.name}"
            raise MigrationError(f"{others} have one number: count the newer one on")
        if migration.number > before.number + 1:
            missing = f"{before.number + 1:04}_*.sql"
            raise MigrationError(f"there is no {missing} before {migration.name}")
        before = migration
    return migrations


def _next(migrations: Sequence[Migration]) -> str:
    """The number of a further migration."""
    return f"{migrations[-1].number + 1 if migrations else 1:04}"


def pending(migrations: Sequence[Migration], applied: Sequence[Row]) -> Sequence[Migration]:
    """Those still to be applied.

    Raises MigrationError where what was applied is not what the first of them say.
    """
    by_name = {migration.name: migration for migration in migrations}
    for row in applied:
        migration = by_name.get(str(row["name"]))
        if migration is None:
            raise MigrationError(
                f"{row['name']} was applied to this database, and is gone from migrations/:"
                " bring it back, as it was"
            )
        if migration.sha256 != row["sha256"]:
            raise MigrationError(
                f"{migration.name} was changed after it was applied: bring it back as it was,"
                f" and make the change in a new {_next(migrations)}_what.sql"
            )
    names = {row["name"] for row in applied}
    rest = [migration for migration in migrations if migration.name not in names]
    last = max((by_name[str(name)].number for name in names), default=0)
    skipped = next((each for each in rest if TEMPLATE < each.number < last), None)
    if skipped:
        raise MigrationError(
            f"{skipped.name} comes before others that were applied, and was not: somebody changed"
            f" the table {APPLIED.name} by hand"
        )
    return rest


class Ledger:
    """What was applied to a database, and the applying of more."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._dialect = Dialect()

    async def applied(self) -> Sequence[Row]:
        """What was applied, in order: name, sha256, applied_at. Changes nothing."""
        is_there = select(TABLES.c.name).where(TABLES.c.name == APPLIED.name)
        if not await self._run(is_there):
            return []
        return await self._run(select(APPLIED).order_by(APPLIED.c.name))

    async def apply(self, migration: Migration) -> None:
        """Apply a migration and note it down: both, or neither.

        Raises MigrationError, and DatabaseError where the database could not be asked.
        """
        note = insert(APPLIED).values(
            name=migration.name, sha256=migration.sha256, applied_at=datetime.now(UTC)
        )
        statements = migration.statements()
        # The note comes first: of two who apply the same at a time, one stops at it.
        before = [CreateTable(APPLIED, if_not_exists=True), note]
        steps = [*map(self._rendered, before), *((text, ()) for text in statements)]
        try:
            await self._stream.batch(steps)
        except (ConstraintError, StatementError) as error:
            why = _explained(error, statements, len(before))
            raise MigrationError(f"{migration.name}: {why}") from None

    async def _run(self, statement: ClauseElement) -> Sequence[Row]:
        prepared = prepare(statement, self._dialect)
        return prepared.rows(await self._stream.execute((prepared.sql, prepared.values)))

    def _rendered(self, statement: ClauseElement) -> Statement:
        prepared = prepare(statement, self._dialect)
        return prepared.sql, prepared.values


def _explained(error: DatabaseError, statements: Sequence[str], before: int) -> str:
    """What a migration failed at, after `before` steps of our own."""
    if error.statement is None:
        return f"nothing of it was applied: {error}"
    number = error.statement - before
    if number < 0:
        return "somebody else has just applied it: look again with --status"
    line = statements[number].splitlines()[0]
    return f"nothing of it was applied: {error}, at its statement {number + 1}: {line}"


async def migrate(
    stream: Stream, migrations: Sequence[Migration], *, dry_run: bool = False
) -> Sequence[str]:
    """Apply what is new, and say so; with `dry_run` say what would be. Raises as
    `Ledger.apply` does.
    """
    ledger = Ledger(stream)
    applied = await ledger.applied()
    todo = pending(migrations, applied)
    for migration in todo:
        migration.statements()
    said = [f"{row['name']}  applied {row['applied_at']:%Y-%m-%d %H:%M} UTC" for row in applied]
    for migration in todo:
        if not dry_run:
            await ledger.apply(migration)
        said.append(f"{migration.name}  {'new' if dry_run else 'applied now'}")
    return said


def settings(project: Path, environment: str | None, environ: Mapping[str, str]) -> TursoSettings:
    """The address and the token of an environment's database; None for what .dev.vars names.

    Raises MigrationError and SettingsError.
    """
    if environment is None:
        return TursoSettings.load(_dev_vars(project / ".dev.vars"))
    config = tomllib.loads((project / "wrangler.toml").read_text())
    environments = {"preview": config, **config.get("env", {})}
    if environment not in environments:
        raise MigrationError(f"wrangler.toml has no {environment}, but {', '.join(environments)}")
    told = {name: environ[name] for name in NAMES if environ.get(name)}
    if "TURSO_AUTH_TOKEN" not in told:
        raise MigrationError("set TURSO_AUTH_TOKEN to a token that may write to the database")
    # A database on this machine needs no https; no environment of wrangler.toml has one.
    local = {"ENVIRONMENT": "local" if "TURSO_DATABASE_URL" in told else ""}
    return TursoSettings.load({**environments[environment].get("vars", {}), **told, **local})


def _dev_vars(path: Path) -> Environment:
    if not path.exists():
        raise MigrationError("there is no .dev.vars: copy .dev.vars.example")
    lines = re.findall(r"^(\w+)[ \t]*=[ \t]*(.*?)[ \t]*$", path.read_text(), re.MULTILINE)
    return {name: value.strip("\"'") for name, value in lines}


async def run(environment: str | None, *, dry_run: bool) -> Sequence[str]:
    """Apply what is new; what was done. Raises MigrationError, SettingsError, DatabaseError."""
    migrations = read(PROJECT / "migrations")
    found = settings(PROJECT, environment, os.environ)
    async with client(httpx.AsyncHTTPTransport()) as http:
        stream = Stream(found.url, found.auth_token, http, timeout=60.0)
        said = await migrate(stream, migrations, dry_run=dry_run)
        await stream.close()
    return said


def main() -> int:
    """Run from a shell; 1 when it failed, and why on standard error."""
    parser = argparse.ArgumentParser(
        prog="npm run migrate --",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--env", default="preview", help="an environment of wrangler.toml")
    which.add_argument("--local", action="store_true", help="the database that .dev.vars names")
    parser.add_argument("--status", action="store_true", help="change nothing")
    told = parser.parse_args()
    try:
        said = asyncio.run(run(None if told.local else told.env, dry_run=told.status))
    except (MigrationError, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except DatabaseError as error:
        print(f"error: {type(error).__name__}: {error}; see --status", file=sys.stderr)
        return 1
    print("\n".join(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
