"""The command line: one thin module a command. Nothing heavy is imported before a command runs.

Typer loads pydantic for any command, which takes longer than a whole check. So what has no
questions to ask (`forge check` and `forge rule`, which run before each commit, and `forge audit`)
is read by argparse; Typer knows it by name only.
"""

import sys
from io import TextIOWrapper


def main() -> None:
    """The `forge` command."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    match sys.argv[1:]:
        case ["check", *arguments]:
            from forge_scaffold.cli import check

            check.main(arguments)
        case ["audit", *arguments]:
            from forge_scaffold.cli import audit

            audit.main(arguments)
        case ["rule", *arguments]:
            from forge_scaffold.cli import rule

            rule.main(arguments)
        case _:
            from forge_scaffold.cli.commands import app

            app(prog_name="forge")
