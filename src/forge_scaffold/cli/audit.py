"""`forge audit`: what it takes to move an existing project to Workers."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forge_scaffold.cli import terminal
from forge_scaffold.cli.arguments import Parser
from forge_scaffold.errors import UserError

if TYPE_CHECKING:
    from forge_scaffold.audit.analysis import Audit
    from forge_scaffold.audit.plan import Step

SUMMARY = "Say what it takes to move an existing project to Workers."

DETAILS = """\
PATH is a folder, or a pyproject.toml, Pipfile, setup.cfg, requirements file,
uv.lock, poetry.lock or pylock.toml. Nothing of the project is imported or run.
The package index that pip is configured for is asked (uv's UV_DEFAULT_INDEX,
UV_INDEX and UV_FIND_LINKS count too); answers are kept for a day.

Exit code 0: nothing blocks; 1: something does; 2: the audit could not run, or
not for every dependency.

Examples:
  forge audit
  forge audit ../backend --html report.html
  forge audit requirements.txt --format markdown
  forge audit --extra server --group worker --offline
"""

FORMATS = ("text", "markdown", "json")


def main(arguments: Sequence[str]) -> None:
    """Run the command.

    Raises:
        SystemExit: with the exit code, unless that is 0.
    """
    with terminal.outcomes():
        args = _parser().parse_args(arguments)
        if args.html:
            _check_target(args.html, force=args.force)
        audit = _audited(args)
        from forge_scaffold.audit.plan import plan

        steps = plan(audit)
        if args.html:
            _write_page(args.html, audit, steps)
        print(_report(args.format, audit, steps))
        sys.exit(_code(audit))


def _parser() -> Parser:
    parser = Parser("audit", SUMMARY, DETAILS)
    parser.add_argument(
        "path", nargs="?", default=".", metavar="PATH", help="what to look at (default: .)"
    )
    parser.add_argument(
        "--extra", action="append", metavar="NAME", default=[], help="an extra too; all for all"
    )
    parser.add_argument(
        "--group", action="append", metavar="NAME", default=[], help="a group too; all for all"
    )
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="how the audit is printed"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it as one page, too")
    parser.add_argument(
        "--force", action="store_true", help="overwrite FILE though no audit wrote it"
    )
    parser.add_argument(
        "--offline", action="store_true", help="ask no index: use what is known from earlier"
    )
    return parser


def _audited(args: Namespace) -> "Audit":
    from forge_scaffold.audit import inputs, resolve
    from forge_scaffold.audit.analysis import audit
    from forge_scaffold.index import cache_folder
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
    """The whole page or none of it."""
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
    from forge_scaffold.audit.analysis import BLOCKED, UNKNOWN

    return 1 if audit.count(BLOCKED) else 2 if audit.count(UNKNOWN) else 0
