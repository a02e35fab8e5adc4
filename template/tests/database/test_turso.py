"""Turso as the service uses it: settings, what is tried again, and a server that comes and goes."""

import json

import pytest
from sqlalchemy import Table, func, insert, select
from sqlalchemy.schema import CreateTable

from service.database import base
from service.database.base import DatabaseAuthError, DatabaseUnavailable
from service.database.tables import chats
from service.database.turso import TursoSettings
from service.problems import explain
from service.settings import SettingsError
from tests.conftest import Env, new_name, service_context
from tests.database.conftest import Open, new_table
from tests.support.standins import KEY, LibsqlServer, StandinsView


def test_libsql_addresses_stand_for_https() -> None:
    env = {"TURSO_DATABASE_URL": "libsql://db-me.turso.io", "TURSO_AUTH_TOKEN": "t"}
    assert TursoSettings.load(env).url == "https://db-me.turso.io"


@pytest.mark.parametrize(
    "url",
    [
        "libsql://",
        "libsql://user:password@db-me.turso.io",
        "libsql://db-me.turso.io?tls=0",
        "http://db-me.turso.io",
        "http://127.0.0.1:8080",
        "ws://db-me.turso.io",
        "file:local.db",
        "db-me.turso.io",
    ],
)
def test_an_address_that_is_not_safe_to_call(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^TURSO_DATABASE_URL is malformed"):
        TursoSettings.load({"TURSO_DATABASE_URL": url, "TURSO_AUTH_TOKEN": "t"})


def test_a_token_that_fits_into_no_header_is_not_told() -> None:
    env = {"TURSO_DATABASE_URL": "libsql://db-me.turso.io", "TURSO_AUTH_TOKEN": "se\ncret"}
    with pytest.raises(SettingsError, match=r"^TURSO_AUTH_TOKEN is malformed") as caught:
        TursoSettings.load(env)
    assert "cret" not in str(caught.value).replace("secret put", "")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(SettingsError) as caught:
        TursoSettings.load({})
    assert "wrangler secret put TURSO_AUTH_TOKEN" in str(caught.value)
    assert "TURSO_DATABASE_URL is not set" in str(caught.value)


def failing(env: Env, standins_url: str, fault: str, name: str) -> Env:
    return env | {"TURSO_DATABASE_URL": f"{standins_url}/turso/faults/{fault}/{name}"}


@pytest.mark.parametrize("fault", ["refuse-2", "cut-2"])
async def test_what_only_reads_is_tried_again(
    env: Env, standins: StandinsView, open_database: Open, fault: str
) -> None:
    name = new_name()
    database = open_database(failing(env, standins.url, fault, name))
    assert await database.run(select(func.abs(-1).label("a"))) == [{"a": 1}]
    assert await database.batch([select(func.abs(-2).label("a"))]) == [[{"a": 2}]]
    assert await standins.libsql_hits(name) == 4


@pytest.mark.parametrize("fault", ["refuse-1", "cut-1"])
async def test_what_may_have_been_written_is_not_written_again(
    env: Env, standins: StandinsView, open_database: Open, table: Table, fault: str
) -> None:
    name, database = new_name(), open_database(env)
    broken = open_database(failing(env, standins.url, fault, name))
    with pytest.raises(DatabaseUnavailable, match=r"^no answer: ") as caught:
        await broken.run(insert(table).values(big=1))
    assert not caught.value.untouched
    assert await standins.libsql_hits(name) == 1
    written = await database.run(select(table.c.big))
    assert written == ([{"big": 1}] if fault == "cut-1" else [])


async def test_what_was_surely_not_written_is_tried_again(
    env: Env, standins: StandinsView, open_database: Open, table: Table
) -> None:
    name = new_name()
    busy = open_database(failing(env, standins.url, "status-429", name))
    with pytest.raises(DatabaseUnavailable, match=r"^HTTP 429") as caught:
        await busy.batch([insert(table).values(big=1)])
    assert caught.value.untouched
    assert await standins.libsql_hits(name) == 3


async def test_a_server_that_dies_and_comes_back(
    env: Env, standins: StandinsView, open_database: Open
) -> None:
    server, table = await standins.libsql_server(), new_table()
    database = open_database(opening(env, server, "full"))
    await database.batch([CreateTable(table), insert(table).values(big=1)])
    await server.kill()
    for attempt in (database.run(select(table.c.big)), database.run(insert(table).values(big=2))):
        with pytest.raises(DatabaseUnavailable):
            await attempt
    await server.start()
    assert await database.run(select(table.c.big)) == [{"big": 1}]
    await database.run(insert(table).values(big=2))
    assert await database.run(select(func.count().label("n")).select_from(table)) == [{"n": 2}]


async def test_a_token_that_only_reads_may_read_in_a_batch(
    env: Env, standins: StandinsView, open_database: Open
) -> None:
    server, table = await standins.libsql_server(), new_table()
    await open_database(opening(env, server, "full")).run(CreateTable(table))
    database = open_database(opening(env, server, "read"))
    assert await database.batch([select(table), select(table.c.big)]) == [[], []]
    for attempt in (
        database.run(insert(table).values(big=1)),
        database.batch([select(table), insert(table).values(big=1)]),
    ):
        with pytest.raises(DatabaseAuthError):
            await attempt


async def test_a_refused_token_is_a_503_that_does_not_show_it(
    env: Env, standins: StandinsView, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await standins.libsql_server()
    async with service_context(opening(env, server, "forged")) as context:
        with pytest.raises(DatabaseAuthError) as caught:
            await context.get(base.database).run(select(chats))
        problem = context.get(explain)(caught.value)
    assert problem.status == 503
    told = json.dumps(problem.document("id")) + capsys.readouterr().out
    assert '"DatabaseAuthError", "reason": "the token is refused"' in told
    assert server.tokens["forged"] not in told


def opening(env: Env, server: LibsqlServer, token: str) -> Env:
    assert env["TURSO_AUTH_TOKEN"] == KEY
    return env | {"TURSO_DATABASE_URL": server.url, "TURSO_AUTH_TOKEN": server.tokens[token]}
