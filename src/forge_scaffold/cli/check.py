"""`forge check`: the linter for Python Workers."""

import gc
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from forge_scaffold.cli import terminal
from forge_scaffold.cli.arguments import Parser
from forge_scaffold.errors import UserError
from forge_scaffold.reports import FORMATS

if TYPE_CHECKING:
    from argparse import Namespace

    from forge_scaffold.checks import Finding, Options, Subject
    from forge_scaffold.versions import Releases

SUMMARY = "Find what makes a Python Worker fail at deploy or at run time."

DETAILS = """\
Nothing of the project is imported or run, and nothing is fetched, unless --index
asks what runs in a Worker of each dependency. Exit code 0: nothing to object to
(notes aside); 1: findings; 2: the check could not run.

Examples:
  forge check
  forge check services/chat --select WRA,SEC
  forge check --fix
  forge check --index --select DEP
  forge rule RUN101
"""


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Raises:
        SystemExit: with the exit code, unless that is 0.
    """
    with terminal.outcomes():
        args = _parser().parse_args(arguments)
        # It ends soon, and until then keeps nearly all that it makes.
        gc.disable()
        from forge_scaffold import checks

        subject, options = _opened(args)
        if args.index:
            subject = replace(subject, releases=_asked(subject))
        found = checks.findings(subject, options)
        if args.fix and _fixed(found, subject):
            subject, options = _opened(args, subject.releases)
            found = checks.findings(subject, options)
        if printed := _report(args.format, found, subject):
            print(printed)
        if checks.failed(found):
            sys.exit(1)


def _parser() -> Parser:
    parser = Parser("check", SUMMARY, DETAILS)
    parser.add_argument(
        "path", nargs="?", default=".", metavar="PATH", help="the project's folder (default: .)"
    )
    for option, meaning in (
        ("--select", "follow only these rules: ids or prefixes"),
        ("--ignore", "leave these rules out: ids or prefixes"),
    ):
        parser.add_argument(option, action="append", metavar="ID[,ID]", default=[], help=meaning)
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="how findings are printed"
    )
    parser.add_argument(
        "--fix", action="store_true", help="mend what can be mended safely; report the rest"
    )
    parser.add_argument(
        "--index",
        action="store_true",
        help="ask the package index too; its answers are kept for a day",
    )
    return parser


def _opened(
    args: "Namespace", releases: "Mapping[str, Releases] | None" = None
) -> "tuple[Subject, Options]":
    """The project in a folder, its policy, and which rules count.

    Raises:
        UserError: there is no such project, or its configuration of Forge cannot be followed.
    """
    from forge_scaffold.checks import RULES, Options, Project, Subject
    from forge_scaffold.policy import Policy

    path = Path(args.path)
    if not path.is_dir():
        raise UserError(f"{path}: no such folder")
    try:
        project = Project.read(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    if not project.is_worker:
        below = [str(path / folder) for folder in project.workers_below]
        more = f"; name one of {', '.join(below)}" if below else ""
        raise UserError(f"{path}: no pyproject.toml and no wrangler configuration here{more}")
    options = Options.of(project, RULES, args.select, args.ignore)
    return Subject(project, Policy.of(project), releases=releases or {}), options


def _asked(subject: "Subject") -> "Mapping[str, Releases]":
    """What the package index has of all that is declared or locked, by name."""
    from forge_scaffold.index import ask

    released = {one.name for one in subject.declared if one.requirement and not one.requirement.url}
    names = released | {lock.name for lock in subject.locked}
    with terminal.counted("Asking the index") as progress:
        releases = ask(names, progress)
    if silent := sorted(names - releases.keys()):
        print(f"no answer from the index, and not judged: {', '.join(silent)}", file=sys.stderr)
    if absent := sorted(name for name, found in releases.items() if not found.anywhere):
        print(f"not on the index, and not judged: {', '.join(absent)}", file=sys.stderr)
    return releases


def _fixed(found: "Sequence[Finding]", subject: "Subject") -> int:
    from forge_scaffold.checks import fixing

    return fixing.apply(found, subject.project)


def _report(form: str, found: "Sequence[Finding]", subject: "Subject") -> str:
    from forge_scaffold.reports import reporter, text

    if form == "text":
        return text.report(found, subject.project, terminal.painter(sys.stdout))
    return reporter(form)(found, subject.project)
