"""`forge audit`: what it takes to move an existing project to Workers."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forge_scaffold.cli import terminal
from forge_scaffold.cli.arguments import Command, Parameter
from forge_scaffold.errors import UserError

if TYPE_CHECKING:
    from forge_scaffold.audit.judge import Audit
    from forge_scaffold.audit.plan import Step

SUMMARY = "Say what it takes to move an existing project to Workers."

DETAILS = """\
PATH is a folder, or a pyproject.toml, Pipfile, setup.cfg, setup.py,
requirements file, uv.lock, poetry.lock, pylock.toml or environment.yml. The
project is not imported or run. Forge asks the package index that pip is
configured for (uv's UV_DEFAULT_INDEX, UV_INDEX and UV_FIND_LINKS count, too)
and keeps its answers for a day.

Exit codes: 0 nothing blocks, 1 something does, 2 the audit could not run, or
not for every dependency.

Examples:
  forge audit
  forge audit ../backend --html report.html
  forge audit requirements.txt --format markdown
  forge audit --extra server --group worker --offline
"""

FORMATS = ("text", "markdown", "json")


def run(args: Namespace) -> None:
    """Run the command.

    Raises:
        SystemExit: with the exit code, unless that is 0.
    """
    if args.html:
        _check_target(Path(args.html), force=args.force)
    audit = _audited(args)
    from forge_scaffold.audit.plan import plan

    steps = plan(audit)
    if args.html:
        _write_page(Path(args.html), audit, steps)
    print(_report(args.format, audit, steps))
    sys.exit(_code(audit))


def _audited(args: Namespace) -> "Audit":
    from forge_scaffold.audit.ask import audit
    from forge_scaffold.declarations import inputs
    from forge_scaffold.packages import resolve
    from forge_scaffold.packages.cache import cache_folder
    from forge_scaffold.policy import Policy
    from forge_scaffold.project import Project

    read = inputs.read(Path(args.path), frozenset(args.extra), frozenset(args.group))
    policy = Policy.of(Project.read(read.root))
    with (
        resolve.Index(cache_folder("audit"), offline=args.offline) as index,
        terminal.counted("Resolving for Workers") as progress,
    ):
        return audit(read, policy, index, progress)


def _check_target(page: Path, *, force: bool) -> None:
    """Refuse before the work is done what could not be written after it."""
    from forge_scaffold.reports.audit_html import MARK

    if not page.parent.is_dir():
        raise UserError(f"--html {page}: no such folder: {page.parent}")
    if not page.exists() and not page.is_symlink():
        return
    if not page.is_file():
        raise UserError(f"--html {page}: it is no file")
    try:
        ours = MARK.encode() in page.read_bytes()[:4096]
    except OSError as error:
        raise UserError(f"--html {page}: {error.strerror}") from error
    if not ours and not force:
        raise UserError(
            f"--html {page}: it is there, and no audit wrote it; name another file, or add --force"
        )


def _write_page(page: Path, audit: "Audit", steps: "Sequence[Step]") -> None:
    """Write the whole page or nothing."""
    from tempfile import TemporaryDirectory

    from forge_scaffold.audit.plan import code
    from forge_scaffold.reports.audit_html import report

    try:
        with TemporaryDirectory(dir=page.parent, prefix=".forge-") as scratch:
            half = Path(scratch, "page")
            half.write_text(report(audit, steps, code(steps)), encoding="utf-8")
            half.replace(page)
    except OSError as error:
        raise UserError(f"--html {page}: {error.strerror}") from error
    print(f"written: {page}", file=sys.stderr)


def _report(form: str, audit: "Audit", steps: "Sequence[Step]") -> str:
    from forge_scaffold.reports import audit_json, audit_markdown, audit_text

    if form == "json":
        return audit_json.report(audit, steps)
    if form == "markdown":
        return audit_markdown.report(audit, steps)
    return audit_text.report(audit, steps, terminal.painter(sys.stdout))


def _code(audit: "Audit") -> int:
    from forge_scaffold.audit.judge import BLOCKED, UNKNOWN

    return 1 if audit.count(BLOCKED) else 2 if audit.count(UNKNOWN) else 0


COMMAND = Command(
    name="audit",
    summary=SUMMARY,
    details=DETAILS,
    parameters=(
        Parameter("PATH", "The project: a folder or a file. [default: .]", default="."),
        Parameter("--extra", "Include an extra; all for all of them.", "NAME", many=True),
        Parameter("--group", "Include a group; all for all of them.", "NAME", many=True),
        Parameter(
            "--format", "How to print the audit. [default: text]", choices=FORMATS, default="text"
        ),
        Parameter("--html", "Also write the audit as one HTML page.", "FILE"),
        Parameter("--force", "Overwrite FILE even if no audit wrote it."),
        Parameter("--offline", "Ask no index; use what is known from earlier audits."),
    ),
    run=run,
)
