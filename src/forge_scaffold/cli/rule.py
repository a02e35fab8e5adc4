"""`forge rule`: what a rule of `forge check` is about."""

from argparse import Namespace
from typing import TYPE_CHECKING

from forge_scaffold.cli.arguments import Command, Parameter
from forge_scaffold.cli.suggested import rule_ids
from forge_scaffold.errors import UserError

if TYPE_CHECKING:
    from forge_scaffold.checks import Rule
    from forge_scaffold.checks.rule import Files

SUMMARY = "Explain a rule of forge check: why it matters, what to do, an example."

DETAILS = """\
Examples:
  forge rule
  forge rule WRA
  forge rule RUN101
"""


def run(args: Namespace) -> None:
    """Run the command.

    Raises:
        UserError: there is no such rule.
    """
    _explain(args.id or "")


def _explain(name: str) -> None:
    from forge_scaffold.checks import RULES

    chosen = [rule for each, rule in RULES.items() if each.startswith(name.upper())]
    if not chosen:
        raise UserError(f"{name}: there is no such rule; list them with  forge rule")
    if len(chosen) == 1:
        print(_explained(chosen[0]))
    else:
        print("\n".join(f"{rule.id}  {rule.title}" for rule in chosen))


def _explained(rule: "Rule") -> str:
    heading = f"{rule.id}  {rule.title}  ({rule.severity.value}, since {rule.since})"
    return "\n\n".join(
        [
            heading,
            rule.reason,
            f"Fix: {rule.fix}",
            f"Example:\n\n{_files(rule.failing)}",
            f"Use instead:\n\n{_files(rule.passing)}",
        ]
    )


def _files(files: "Files") -> str:
    return "\n\n".join(
        f"    {name}\n" + "\n".join(f"    | {line}".rstrip() for line in text.splitlines())
        for name, text in files.items()
    )


COMMAND = Command(
    name="rule",
    summary=SUMMARY,
    details=DETAILS,
    parameters=(
        Parameter("ID", "A rule, or the letters of a family; all without.", complete=rule_ids),
        Parameter("--all", "List every rule, as without ID."),
    ),
    run=run,
)
