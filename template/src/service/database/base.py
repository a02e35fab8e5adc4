"""What every database can do, and how it fails."""

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

from sqlalchemy.sql import ClauseElement

from service.context import Context, Slot
from service.web import Unavailable

Row = Mapping[str, object]
"""A row: the values by their columns' names."""

Parameters = Mapping[str, object]
"""A statement's values by their names."""


class Database(Protocol):
    """Runs SQLAlchemy Core statements.

    Both methods raise DatabaseError, and ValueError for a value that no database holds as it is: a
    number that is not finite, an integer of more than 64 bits, a lone surrogate in a text.
    """

    async def run(
        self, statement: ClauseElement, parameters: Parameters | None = None
    ) -> Sequence[Row]:
        """The rows that `statement` returns. It is a transaction of its own.

        Give `parameters` to a statement at module level, as SQLAlchemy's `Connection.execute` takes
        them: an insert's columns, or what `bindparam` names. Its SQL is then compiled once, which
        takes longer than everything else that is done here with a statement.
        """

    async def batch(self, statements: Sequence[ClauseElement]) -> Sequence[Sequence[Row]]:
        """The rows of each statement. They are one transaction: all of them happen, or none."""


DATABASE = Slot[Database]()


def database(context: Context) -> Database:
    """Where the service keeps its data."""
    return context.require(DATABASE)


class DatabaseError(Unavailable):
    """The database did not do what it was asked.

    The message has the database's code and what it says of the schema, never a value or a token.
    """

    answer = "The database cannot be used at the moment."
    statement: int | None = None
    """Which one of a batch it was, from 0, where the database tells."""


class ConstraintError(DatabaseError):
    """A statement would break a constraint. Nothing of it was applied, nor of its batch."""


class StatementError(DatabaseError):
    """The database cannot run the statement: its syntax, a name in it, or the size of its rows."""


class DatabaseAuthError(DatabaseError):
    """The database does not let this service in, or not do this."""


class DatabaseUnavailable(DatabaseError):
    """The database gave no answer that can be used.

    `untouched` says that nothing was applied; otherwise nobody here knows whether a write was.
    """

    def __init__(self, reason: str, *, untouched: bool = False) -> None:
        super().__init__(reason)
        self.untouched = untouched


_NOT_ALLOWED = frozenset({"SQLITE_AUTH", "SQLITE_PERM", "SQLITE_READONLY"})
# Another transaction was faster: this one did not begin, or was rolled back.
_BUSY = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "TRANSACTION_BUSY", "TRANSACTION_TIMEOUT"})
_BROKEN = frozenset({
    "BLOCKED", "SQLITE_ABORT", "SQLITE_CANTOPEN", "SQLITE_CORRUPT", "SQLITE_FULL",
    "SQLITE_INTERNAL", "SQLITE_INTERRUPT", "SQLITE_IOERR", "SQLITE_NOMEM", "SQLITE_NOTADB",
    "SQLITE_PROTOCOL",
})  # fmt: skip

# What SQLite says in these forms it takes from the schema or from a statement's text, in which
# values are question marks. Other messages can quote a value (JSON paths, full-text queries).
_OF_THE_SCHEMA = re.compile(
    r"(?:UNIQUE|NOT NULL|PRIMARY KEY) constraint failed: [\w.]+(?:, [\w.]+)*"
    r"|(?:CHECK|FOREIGN KEY) constraint failed"
    r"|no such (?:table|column|index|function): [\w.]+"
    r"|(?:table|index|view|trigger) \w+ already exists"
    r"|table \w+ has no column named \w+"
    r"|duplicate column name: \w+"
    r'|^(?:SQLite error: |SQL input error: )?near "\w+": syntax error'
    r"|syntax error around L\d+:\d+: `\w+`"
)


def failure(code: str, message: str) -> DatabaseError:
    """The error that SQLite's (or libSQL's) code stands for, with what may be told of `message`."""
    reason = code if re.fullmatch(r"[A-Z_]{1,64}", code) else "an error without a code"
    if found := _OF_THE_SCHEMA.search(message):
        reason = f"{reason}: {found[0]}"
    if code.startswith("SQLITE_CONSTRAINT"):
        return ConstraintError(reason)
    if code in _NOT_ALLOWED:
        return DatabaseAuthError(reason)
    if code in _BUSY | _BROKEN:
        return DatabaseUnavailable(reason, untouched=code in _BUSY)
    return StatementError(reason)
