"""What may run while a Worker's modules are imported: workerd and `forge check` agree.

The statements and what happens to them are in import_time.toml.
"""

import tomllib
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from forge_scaffold.checks.examples import BASE, files
from forge_scaffold.checks.finding import Severity
from tests.checks.support import checked
from tests.runtime.workerd import LOAD, SAVE, SAVE_BASELINE, SDK, Worker, Workerd

TABLE = Path(__file__).with_name("import_time.toml")


class Statement(NamedTuple):
    """A row of the table."""

    code: str
    outcome: str
    imports: str = ""
    holds: str = "True"
    rules: tuple[str, ...] = ()
    unknown: str = ""

    @property
    def module(self) -> str:
        """A module with the statement, and a function for requests to call."""
        return f"{self.imports}\n\n{self.code}\n\n\nasync def holds():\n    return {self.holds}\n"

    @property
    def packages(self) -> tuple[str, ...]:
        """What it needs of python_modules."""
        vendored = any(name in self.imports for name in ("httpx", "pydantic", "sqlalchemy"))
        return ("*",) if vendored else SDK


STATEMENTS: Mapping[str, Statement] = {
    f"s{number}": Statement(**{**row, "rules": tuple(row.get("rules", ()))})
    for number, row in enumerate(
        row for rows in tomllib.loads(TABLE.read_text("utf-8")).values() for row in rows
    )
}

# Answers with what the function of the module in the path returns.
ENTRY = """\
import sys
from workers import Response, WorkerEntrypoint
{imports}


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        name = request.url.rpartition("/")[2]
        return Response(repr(bool(await sys.modules[name].holds())))
"""


def those(*outcomes: str) -> dict[str, Statement]:
    """The statements of some outcomes."""
    chosen = {name: each for name, each in STATEMENTS.items() if each.outcome in outcomes}
    assert chosen
    return chosen


def alone(name: str, statement: Statement, *, dedicated: bool) -> Worker:
    """A Worker with one of the statements."""
    entry = ENTRY.format(imports=f"import {name}")
    return Worker(
        {"entry.py": entry, f"{name}.py": statement.module},
        packages=statement.packages,
        dedicated=dedicated,
    )


def together(statements: Mapping[str, Statement], greeting: str) -> Worker:
    """A Worker with all of the statements."""
    entry = ENTRY.format(imports=f"import {', '.join(statements)}")
    modules = {f"{name}.py": statement.module for name, statement in statements.items()}
    variables = {"GREETING": greeting}
    return Worker({"entry.py": entry, **modules}, packages=("*",), variables=variables)


def shown(statements: Mapping[str, Statement], names: Collection[str]) -> str:
    """The code of statements, for a message."""
    return "\n".join(f"{name}: {each.code}" for name, each in statements.items() if name in names)


def test_what_fails_at_start(workerd: Workerd, tmp_path: Path) -> None:
    statements = those("fails at start")
    # From a snapshot of Python alone it starts in half the time.
    snapshots = f"--python-snapshot-dir={tmp_path}"
    bare = Worker({"bare.py": ENTRY.format(imports="")}, dedicated=False)
    with workerd.serve(tmp_path / "bare", {"bare": bare}, SAVE_BASELINE, snapshots) as running:
        running.get("sys")
    failures = workerd.failures(
        tmp_path / "workers",
        {name: alone(name, each, dedicated=False) for name, each in statements.items()},
        LOAD,
        snapshots,
    )
    started = statements.keys() - failures.keys()
    assert not started, shown(statements, started)
    for name in statements:
        assert f"/{name}.py" in failures[name], failures[name]


def test_what_fails_at_deploy(workerd: Workerd, tmp_path: Path) -> None:
    statements = those("fails at deploy")
    failures = workerd.failures(
        tmp_path / "workers",
        {name: alone(name, each, dedicated=True) for name, each in statements.items()},
        SAVE,
        f"--python-snapshot-dir={tmp_path}",
    )
    deployed = statements.keys() - failures.keys()
    assert not deployed, shown(statements, deployed)


# By outcome: what two requests get before there is a snapshot, and after.
TRUE, FALSE, ERROR = "True", "False", "an error"
ANSWERS = {
    "runs": ({TRUE}, {TRUE}),
    "fails at deploy": ({TRUE}, None),
    "fails after deploy": ({TRUE}, {FALSE, ERROR}),
    "fails in requests": ({TRUE, ERROR}, {TRUE, ERROR}),
    "wrong value": ({FALSE}, {FALSE}),
}


def test_what_starts(workerd: Workerd, tmp_path: Path) -> None:
    local = those(*ANSWERS)
    deployed = {name: each for name, each in local.items() if ANSWERS[each.outcome][1]}
    before = answers(workerd, tmp_path / "local", local, "Hello")
    snapshots = f"--python-snapshot-dir={tmp_path}"
    # The process that saves a snapshot wraps JavaScript objects, so another one is asked.
    answers(workerd, tmp_path / "deploy", deployed, "Hello", SAVE, snapshots)
    after = answers(workerd, tmp_path / "deployed", deployed, "Changed", LOAD, snapshots)
    for found, index in ((before, 0), (after, 1)):
        wrong = {
            local[name].code: got
            for name, got in found.items()
            if not as_expected(got, ANSWERS[local[name].outcome][index] or set())
        }
        assert not wrong


def as_expected(got: set[str], possible: set[str]) -> bool:
    """Whether the answers are among the possible ones; where one may be wrong, one is."""
    return got <= possible and (got != {TRUE} or possible == {TRUE})


def answers(
    workerd: Workerd,
    folder: Path,
    statements: Mapping[str, Statement],
    greeting: str,
    *arguments: str,
) -> dict[str, set[str]]:
    """What two requests at once get for each statement, in a Worker with all of them."""
    worker = together(statements, greeting)
    with workerd.serve(folder, {"all": worker}, *arguments) as running:
        assert running.port, (folder / "log").read_text()
        with ThreadPoolExecutor(2) as pool:
            return {
                name: {
                    body if status == 200 else ERROR
                    for status, body in pool.map(running.get, (name, name))
                }
                for name in statements
            }


@pytest.mark.parametrize("name", STATEMENTS)
def test_forge_check_says_the_same(tmp_path: Path, name: str) -> None:
    statement = STATEMENTS[name]
    entry = f"import row\n{BASE['src/entry.py']}"
    project = files({"src/row.py": statement.module, "src/entry.py": entry})
    found = [
        finding
        for finding in checked(tmp_path, project, "RUN", "IMP005")
        if finding.place.path.name == "row.py"
        and finding.severity is not Severity.NOTE
        and _at_import_time(statement, finding.place.line)
    ]
    assert tuple(sorted({finding.rule for finding in found})) == statement.rules
    severities = {finding.severity for finding in found}
    if statement.unknown:
        return
    if statement.outcome == "runs":
        assert Severity.ERROR not in severities
    elif statement.outcome == "wrong value":
        assert severities
    else:
        assert Severity.ERROR in severities


def _at_import_time(statement: Statement, line: int) -> bool:
    """Whether a line is not that of the expression that a request evaluates."""
    return line < len(statement.module.splitlines())
