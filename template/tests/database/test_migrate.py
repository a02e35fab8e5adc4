"""`npm run migrate`: what is applied, what is refused, and what it says."""

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from scripts.migrate import Ledger, Migration, MigrationError, migrate, read, settings
from service.database.base import StatementError
from service.database.hrana import Stream
from service.settings import SettingsError
from tests.support.standins import LibsqlServer, StandinsView

PROJECT = Path(__file__).parents[2]
FIRST = "CREATE TABLE a (x TEXT DEFAULT ';'); -- one; two\nINSERT INTO a VALUES ('it''s; fine');\n"
SECOND = """
/* a trigger; it has statements of its own */
CREATE TRIGGER copy AFTER INSERT ON a BEGIN
  INSERT INTO b VALUES (new.x);
  INSERT INTO b VALUES ('again');
END;
"""
TABLE_B = "CREATE TABLE b (x)"


@pytest.fixture
async def server(standins: StandinsView) -> LibsqlServer:
    """An empty database."""
    return await standins.libsql_server()


@pytest.fixture
def stream(server: LibsqlServer, http: httpx.AsyncClient) -> Stream:
    """A connection to it."""
    return Stream(server.url, SecretStr(server.tokens["full"]), http)


def numbered(*texts: str) -> list[Migration]:
    return [Migration(f"{number:04}_m.sql", text) for number, text in enumerate(texts, start=1)]


async def applied(stream: Stream) -> list[object]:
    rows = await stream.execute(("SELECT name FROM schema_migrations ORDER BY name", ()))
    return [row["name"] for row in rows]


async def test_each_is_applied_once_and_in_order(stream: Stream) -> None:
    first, *rest = numbered(FIRST, TABLE_B, SECOND)
    assert await migrate(stream, [first]) == ["0001_m.sql  applied now"]
    said = await migrate(stream, [first, *rest])
    assert said[0].startswith("0001_m.sql  applied 20")
    assert said[1:] == ["0002_m.sql  applied now", "0003_m.sql  applied now"]
    assert await applied(stream) == ["0001_m.sql", "0002_m.sql", "0003_m.sql"]
    await stream.execute(("INSERT INTO a VALUES ('new')", ()))
    rows = await stream.execute(("SELECT x FROM a UNION ALL SELECT x FROM b", ()))
    assert [row["x"] for row in rows] == ["it's; fine", "new", "new", "again"]
    assert all("applied 20" in line for line in await migrate(stream, [first, *rest]))


async def test_a_dry_run_changes_nothing(stream: Stream) -> None:
    assert await migrate(stream, numbered(FIRST), dry_run=True) == ["0001_m.sql  new"]
    assert await stream.execute(("SELECT name FROM sqlite_master", ())) == []


async def test_one_that_fails_leaves_nothing_behind(stream: Stream) -> None:
    bad = "CREATE TABLE b (x); INSERT INTO b VALUES (1);\nINSERT INTO nowhere\n VALUES (1)"
    with pytest.raises(MigrationError) as caught:
        await migrate(stream, numbered(FIRST, bad))
    assert str(caught.value).startswith("0002_m.sql: nothing of it was applied: ")
    assert "no such table: nowhere, at its statement 3: INSERT INTO nowhere" in str(caught.value)
    assert await applied(stream) == ["0001_m.sql"]
    with pytest.raises(StatementError, match="no such table: b"):
        await stream.execute(("SELECT x FROM b", ()))
    await migrate(stream, numbered(FIRST, TABLE_B))
    assert await applied(stream) == ["0001_m.sql", "0002_m.sql"]


async def test_syntax_errors_are_told_with_their_place(stream: Stream) -> None:
    with pytest.raises(MigrationError, match=r"nothing of it was applied: .*: `TABEL`$"):
        await migrate(stream, numbered("CREATE TABEL a (x)"))


async def test_history_that_was_edited_is_refused(stream: Stream) -> None:
    await migrate(stream, numbered(FIRST, TABLE_B))
    edited = numbered(FIRST, TABLE_B + " -- and more", SECOND)
    for dry_run in (True, False):
        with pytest.raises(MigrationError, match=r"^0002_m\.sql was changed after it was applied"):
            await migrate(stream, edited, dry_run=dry_run)
    with pytest.raises(MigrationError, match=r"^0002_m\.sql was applied .* and is gone"):
        await migrate(stream, numbered(FIRST))
    assert await applied(stream) == ["0001_m.sql", "0002_m.sql"]


async def test_what_comes_before_what_was_applied_is_refused(stream: Stream) -> None:
    three = numbered(FIRST, TABLE_B, SECOND)
    await migrate(stream, three)
    await stream.execute(("DELETE FROM schema_migrations WHERE name = '0002_m.sql'", ()))
    with pytest.raises(MigrationError, match=r"^0002_m\.sql comes before others"):
        await migrate(stream, three)


async def test_a_migration_that_an_update_of_the_template_brings_is_applied_after_your_own(
    stream: Stream,
) -> None:
    first, own = numbered(FIRST, TABLE_B)
    await migrate(stream, [first, own])
    brought = Migration("0001_m_more.sql", "CREATE TABLE c (x)")
    said = await migrate(stream, [first, brought, own])
    assert [line for line in said if line.endswith("now")] == ["0001_m_more.sql  applied now"]


async def test_of_two_at_a_time_one_applies_and_one_is_told(
    stream: Stream, server: LibsqlServer, http: httpx.AsyncClient
) -> None:
    other = Stream(server.url, SecretStr(server.tokens["full"]), http)
    once = "CREATE TABLE IF NOT EXISTS a (x); INSERT INTO a VALUES (1)"
    attempts = [migrate(each, numbered(once)) for each in (stream, other)]
    first, second = await asyncio.gather(*attempts, return_exceptions=True)
    results = [result for result in (first, second) if isinstance(result, list)]
    for error in (result for result in (first, second) if not isinstance(result, list)):
        assert isinstance(error, MigrationError)
        assert "somebody else has just applied it" in str(error)
    assert results
    assert await stream.execute(("SELECT count(*) AS n FROM a", ())) == [{"n": 1}]


async def test_somebody_who_was_faster_is_met_at_the_note(stream: Stream) -> None:
    await migrate(stream, numbered(FIRST))
    await stream.execute(("UPDATE schema_migrations SET name = '0002_m.sql'", ()))
    with pytest.raises(MigrationError, match="somebody else has just applied it"):
        await Ledger(stream).apply(numbered(FIRST, TABLE_B)[1])


@pytest.mark.parametrize("word", ["BEGIN", "commit", "End", "ROLLBACK", "SAVEPOINT s", "RELEASE s"])
async def test_a_transaction_of_its_own_is_refused(stream: Stream, word: str) -> None:
    text = f"{TABLE_B};\n-- it would cut the file in two\n{word};"
    with pytest.raises(MigrationError, match=f"^0001_m.sql: remove {word[:3].upper()}"):
        await migrate(stream, numbered(text))


@given(
    st.lists(
        st.sampled_from([
            "CREATE TABLE t (a)", "INSERT INTO t VALUES (';', '--', '/*')", "SELECT 1 /* ; */ + 1",
            "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END", "SELECT 'a;''b'",
        ]),
        max_size=6,
    ),
    st.sampled_from([";", ";\n", " ; -- so; it goes\n", ";;\n", ";\n/* a ; */\n"]),
)  # fmt: skip
def test_statements_are_split_where_sqlite_would(statements: list[str], between: str) -> None:
    migration = Migration("0001_m.sql", between.join([*statements, ""]))
    assert [text.removesuffix(";").rstrip() for text in migration.statements()] == statements
    assert all(sqlite3.complete_statement(f"{text};") for text in migration.statements())


def folder(tmp_path: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_files_are_read_in_order_whatever_their_line_ends(tmp_path: Path) -> None:
    found = read(folder(tmp_path, {"0002_b.sql": "B\r\n", "0001_a.sql": "A\n", "README.md": ""}))
    assert found == [Migration("0001_a.sql", "A\n"), Migration("0002_b.sql", "B\n")]


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (["0001_a.sql", "0003_c.sql"], r"^there is no 0002_\*\.sql before 0003_c\.sql$"),
        (["0002_a.sql"], r"^there is no 0001_\*\.sql before 0002_a\.sql$"),
        (
            ["0001_a.sql", "0001_b.sql", "0002_c.sql", "0002_d.sql"],
            r"^0002_c\.sql and 0002_d\.sql have one number",
        ),
        (["0000_a.sql"], r"^0000_a\.sql: call it like 0001_what\.sql$"),
        (["0001_a.sql", "more.sql"], r"^more\.sql: call it like 0002_what\.sql$"),
        (["1_a.sql"], r"^1_a\.sql: call it like 0001_what\.sql$"),
    ],
)
def test_names_that_leave_the_order_open(tmp_path: Path, files: list[str], why: str) -> None:
    with pytest.raises(MigrationError, match=why):
        read(folder(tmp_path, dict.fromkeys(files, "")))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(MigrationError, match=r"^0001_a\.sql: save it as UTF-8$"):
        read(folder(tmp_path, {"0001_a.sql": b"\xff"}))


CONFIG = """
[vars]
TURSO_DATABASE_URL = "libsql://preview.turso.io"
[env.production.vars]
TURSO_DATABASE_URL = "libsql://production.turso.io"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two environments."""
    return folder(tmp_path, {"wrangler.toml": CONFIG})


TOKEN = {"TURSO_AUTH_TOKEN": "private-token"}


@pytest.mark.parametrize("environment", ["preview", "production"])
def test_the_address_is_the_environment_s(project: Path, environment: str) -> None:
    found = settings(project, environment, TOKEN)
    assert found.url == f"https://{environment}.turso.io"
    assert found.auth_token.get_secret_value() == "private-token"


def test_an_address_in_the_shell_s_environment_goes_before_it(project: Path) -> None:
    for url in ("https://other.example", "http://127.0.0.1:8080"):
        assert settings(project, "production", TOKEN | {"TURSO_DATABASE_URL": url}).url == url


def test_local_runs_read_dev_vars(project: Path) -> None:
    with pytest.raises(MigrationError, match=r"^there is no \.dev\.vars"):
        settings(project, None, TOKEN)
    lines = 'ENVIRONMENT="local"\nTURSO_DATABASE_URL="http://127.0.0.1:8788/turso/main"\n'
    folder(project, {".dev.vars": f"# mine\n{lines}TURSO_AUTH_TOKEN=dev\n"})
    found = settings(project, None, TOKEN)
    assert found.url == "http://127.0.0.1:8788/turso/main"
    assert found.auth_token.get_secret_value() == "dev"


def test_settings_that_are_missing_are_named(project: Path) -> None:
    with pytest.raises(MigrationError, match=r"has no staging, but preview, production$"):
        settings(project, "staging", TOKEN)
    with pytest.raises(MigrationError, match=r"^set TURSO_AUTH_TOKEN "):
        settings(project, "production", {})
    folder(project, {"wrangler.toml": ""})
    with pytest.raises(SettingsError, match=r"^TURSO_DATABASE_URL is not set"):
        settings(project, "preview", TOKEN)


async def test_the_project_s_own_migrations_are_applied_to_the_database_of_the_tests(
    standins_url: str, http: httpx.AsyncClient
) -> None:
    stream = Stream(f"{standins_url}/turso/main", SecretStr("any"), http)
    said = await migrate(stream, read(PROJECT / "migrations"), dry_run=True)
    assert said
    assert not [line for line in said if line.endswith("new")]
    await stream.close()
    assert os.environ.get("TURSO_AUTH_TOKEN") is None
