"""`forge check`: the linter for Python Workers."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from forge_scaffold.cli import terminal
from forge_scaffold.cli.arguments import Command, Parameter
from forge_scaffold.cli.suggested import rule_ids
from forge_scaffold.errors import UserError
from forge_scaffold.reports import FORMATS

if TYPE_CHECKING:
    from argparse import Namespace

    from forge_scaffold.checks import Finding, Options, Subject
    from forge_scaffold.packages.versions import Releases

SUMMARY = "Find what makes a Python Worker fail, at deploy or at run time."

DETAILS = """\
The project is not imported or run. Nothing is fetched without --index, which
asks for each dependency what runs in a Worker.

Exit codes: 0 no findings except notes, 1 findings, 2 the check could not run.

Examples:
  forge check
  forge check services/chat --select WRA,SEC
  forge check --fix
  forge check --write-baseline forge-baseline.json
  forge check --index --select DEP
  forge rule RUN101
"""


# `--fix` goes on until nothing is left to fix; that it ends does not depend on the rules.
_ROUNDS = 20


def run(args: "Namespace") -> None:
    """Run the command.

    Raises:
        SystemExit: with 1, when there are findings.
    """
    from forge_scaffold import checks

    subject, options = _opened(args)
    if args.index:
        subject = replace(subject, releases=_asked(subject))
    if args.write_baseline:
        _write(Path(args.write_baseline), checks.findings(subject, options))
        return
    found = _new(args, checks.findings(subject, options), options)
    # What is fixed in one place may have kept another finding from being fixed.
    for _ in range(_ROUNDS if args.fix else 0):
        if not _fixed(found, subject):
            break
        subject, options = _opened(args, subject.releases)
        found = _new(args, checks.findings(subject, options), options)
    if printed := _report(args.format, found, subject):
        print(printed)
    if checks.failed(found):
        sys.exit(1)


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
    options = Options.of(project, RULES, args.select, args.ignore, args.exclude)
    return Subject(project, Policy.of(project), releases=releases or {}), options


def _new(args: "Namespace", found: "list[Finding]", options: "Options") -> "list[Finding]":
    """The findings that no baseline accepts."""
    if not (args.baseline or options.baseline):
        return found
    from forge_scaffold.checks.baseline import Baseline

    file = Path(args.baseline) if args.baseline else Path(args.path) / str(options.baseline)
    new, gone = Baseline.read(file).new(found)
    if gone and not (args.select or args.ignore or args.exclude):
        print(
            f"{file}: {gone} of its findings are gone; write it again with --write-baseline",
            file=sys.stderr,
        )
    return new


def _write(file: Path, found: "Sequence[Finding]") -> None:
    from forge_scaffold.checks.baseline import Baseline

    try:
        file.write_text(str(Baseline.of(found)), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--write-baseline {file}: {error.strerror}") from error
    many = "1 finding" if len(found) == 1 else f"{len(found)} findings"
    print(f"written: {file} ({many})", file=sys.stderr)


def _asked(subject: "Subject") -> "Mapping[str, Releases]":
    """What the package index has of all that is declared or locked, by name."""
    from forge_scaffold.packages.index import ask

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


COMMAND = Command(
    name="check",
    summary=SUMMARY,
    details=DETAILS,
    parameters=(
        Parameter("PATH", "The project's folder. [default: .]", default="."),
        Parameter(
            "--select", "Check only these rules: ids or prefixes.", "ID[,ID]",
            many=True, complete=rule_ids,
        ),
        Parameter(
            "--ignore", "Leave these rules out: ids or prefixes.", "ID[,ID]",
            many=True, complete=rule_ids,
        ),
        Parameter(
            "--exclude", "Report nothing in these files: patterns or folders.", "PATTERN",
            many=True,
        ),
        Parameter("--baseline", "Leave out the findings that FILE accepts.", "FILE"),
        Parameter(
            "--write-baseline", "Write the findings of today to FILE, to accept them.", "FILE"
        ),
        Parameter(
            "--format", "How to print findings. [default: text]", choices=FORMATS, default="text"
        ),
        Parameter("--fix", "Fix what can be fixed safely, and report the rest."),
        Parameter("--index", "Ask the package index, too; its answers are kept for a day."),
    ),
    run=run,
)  # fmt: skip
