"""`forge test`: a Worker's tests, inside the runtime."""

from argparse import Namespace
from pathlib import Path

from forge_scaffold.cli import terminal
from forge_scaffold.cli.arguments import Command, Parameter
from forge_scaffold.cli.serve import become

SUMMARY = "Run a Python Worker's tests with pytest, inside workerd."

DETAILS = """\
The tests import the Worker's modules, its packages, `js` and `pyodide` as the
Worker does. The environment variable WORKER_URL has the address of the Worker
itself, served beside them with its bindings. pytest, pytest-asyncio,
Hypothesis and the plugins in your `test` or `dev` group are there.

The Worker need not be made by Forge; see  forge serve --help. A project that
Forge made runs its own `npm test`.

Exit codes are pytest's: 0 all passed, 1 some failed, 5 no tests.

Examples:
  forge test
  forge test services/chat --watch
  forge test -- -k chat -x
  forge test . -- tests/test_chat.py
"""


def run(args: Namespace) -> None:
    """Run the command.

    Raises:
        UserError: there is no Python Worker, or it cannot be prepared.
        NoTestsError: it has no tests.
    """
    from forge_scaffold.runtime import commands

    watch = ["--watch"] if args.watch else []
    become(commands.prepared("test", Path(args.path), [*watch, *args.argument], terminal.progress))


COMMAND = Command(
    name="test",
    summary=SUMMARY,
    details=DETAILS,
    parameters=(
        Parameter("PATH", "The Worker's folder. [default: .]", default="."),
        Parameter("ARGUMENT", "After --: arguments for pytest.", many=True),
        Parameter("--watch", "Run the tests again after each change."),
    ),
    run=run,
)
