"""`forge rule`: what a rule of `forge check` is about."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from forge_scaffold.cli import terminal
from forge_scaffold.cli.arguments import Parser
from forge_scaffold.errors import UserError

if TYPE_CHECKING:
    from forge_scaffold.checks import Rule
    from forge_scaffold.checks.base import Files

SUMMARY = "Explain a rule of forge check: why it is there, what to do, an example."

DETAILS = """\
Examples:
  forge rule RUN101
  forge rule WRA
  forge rule --all
"""


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Raises:
        SystemExit: with the exit code, unless that is 0.
    """
    with terminal.outcomes():
        parser = Parser("rule", SUMMARY, DETAILS)
        parser.add_argument("id", nargs="?", metavar="ID", help="a rule, or a family's letters")
        parser.add_argument("--all", action="store_true", help="list every rule")
        args = parser.parse_args(arguments)
        if args.id is None and not args.all:
            raise UserError("name a rule, such as RUN101, or list them with --all")
        _explain(args.id or "")


def _explain(name: str) -> None:
    from forge_scaffold.checks import RULES

    chosen = [rule for each, rule in RULES.items() if each.startswith(name.upper())]
    if not chosen:
        raise UserError(f"{name}: there is no such rule; see  forge rule --all")
    if len(chosen) == 1:
        print(_explained(chosen[0]))
    else:
        print("\n".join(f"{rule.id}  {rule.title}" for rule in chosen))


def _explained(rule: "Rule") -> str:
    heading = f"{rule.id}  {rule.title}  ({rule.severity.value})"
    return "\n\n".join(
        [
            heading,
            rule.reason,
            f"Fix: {rule.fix}",
            f"It objects to:\n\n{_files(rule.failing)}",
            f"It has nothing against:\n\n{_files(rule.passing)}",
        ]
    )


def _files(files: "Files") -> str:
    return "\n\n".join(
        f"    {name}\n" + "\n".join(f"    | {line}".rstrip() for line in text.splitlines())
        for name, text in files.items()
    )
