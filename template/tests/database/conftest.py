"""The database itself, without the service around it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import TypeAlias

import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.schema import CreateTable, DropTable

from service.context import Context
from service.database import base
from service.database.base import Database
from service.database.types import UtcDateTime
from service.features import FEATURES
from tests.conftest import Env, new_name, runtime

Open: TypeAlias = Callable[[Env], Database]


@pytest.fixture
async def open_database() -> AsyncIterator[Open]:
    """Opens the database of an environment as the service does."""
    async with AsyncExitStack() as end:

        def open_database(env: Env) -> Database:
            platform = runtime(env)
            end.push_async_callback(platform.transport.aclose)
            return Context(platform, FEATURES).get(base.database)

        yield open_database


@pytest.fixture
def database(env: Env, open_database: Open) -> Database:
    """The database of a complete environment."""
    return open_database(env)


@pytest.fixture
async def table(database: Database) -> AsyncIterator[Table]:
    """A new table with a column of each type."""
    table = new_table()
    await database.run(CreateTable(table))
    yield table
    await database.run(DropTable(table))


def new_table() -> Table:
    return Table(
        new_name().replace("-", "_"),
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("big", BigInteger, unique=True),
        Column("small", Integer),
        Column("number", Float),
        Column("text", Text),
        Column("blob", LargeBinary),
        Column("flag", Boolean),
        Column("moment", UtcDateTime),
        CheckConstraint("small < 2000000000"),
    )
