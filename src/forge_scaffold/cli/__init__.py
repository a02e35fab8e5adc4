"""The command line: one thin module a command. Nothing heavy is imported before a command runs.

Typer loads pydantic to read a command's arguments, which takes longer than a whole check. So the
commands in `FAST` are read by argparse, from the same description that Typer shows in the help
and the shell completes (`cli/arguments.py`).
"""

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from forge_scaffold.cli import terminal
from forge_scaffold.errors import UserError

if TYPE_CHECKING:
    from forge_scaffold.cli.arguments import Command

# Each is a module of this package with a COMMAND.
FAST = ("serve", "test", "check", "audit", "rule")


def main() -> None:
    """The `forge` command."""
    # It ends soon, and until then keeps nearly all that it makes.
    gc.disable()
    if sys.stdout is None or sys.stderr is None:  # closed by the caller, as `>&-` does
        nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if shell := os.environ.get("_FORGE_COMPLETE"):
        from forge_scaffold.cli import completion

        completion.answer(shell, sys.argv[1:])
    else:
        run(sys.argv[1:])


def run(arguments: Sequence[str]) -> None:
    """Run the command that the arguments name.

    Raises:
        SystemExit: with the exit code, unless that is 0.
    """
    with terminal.outcomes(as_json=_wants_json(arguments)):
        if "" in arguments:  # as a path it would be the current folder
            raise UserError("an argument is empty; is a variable of your shell not set?")
        match arguments:
            case ["--version"]:
                print(version())
            case [name, *rest] if name in FAST and not wants_help(arguments):
                fast(name).main(rest)
            case _:
                from forge_scaffold.cli.commands import run as run_typer

                run_typer(arguments or ["--help"])


def fast(name: str) -> "Command":
    """A command that argparse reads."""
    command: Command = import_module(f"forge_scaffold.cli.{name}").COMMAND
    return command


def version() -> str:
    """What `forge --version` prints."""
    from importlib.metadata import version

    return f"forge {version('forge-workers')}"


def wants_help(arguments: Sequence[str]) -> bool:
    """Whether the help is asked for, whatever else is."""
    return not {"-h", "--help"}.isdisjoint(_options(arguments))


def _wants_json(arguments: Sequence[str]) -> bool:
    options = _options(arguments)
    return (
        "--json" in options
        or "--format=json" in options
        or ("--format", "json") in pairwise(options)
    )


def _options(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index("--")] if "--" in arguments else arguments
