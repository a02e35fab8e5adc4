"""What the commands share that work on a project made from a template."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from forge_scaffold.cli import terminal
from forge_scaffold.errors import UserError
from forge_scaffold.printable import masked, printable

if TYPE_CHECKING:
    from forge_scaffold.documents import Place
    from forge_scaffold.recorded import Recorded
    from forge_scaffold.sources import Repository
    from forge_scaffold.update import Update


def opened(stack: ExitStack, project: Path, *, offline: bool) -> "tuple[Recorded, Repository]":
    """What a project records, and the repository of its template for as long as the stack lasts.

    Raises:
        UserError: the project was not made from a template, or the template is in no repository.
    """
    from forge_scaffold import sources
    from forge_scaffold.recorded import Recorded

    if not project.is_dir():
        raise UserError(f"{project}: no such folder")
    recorded = Recorded.read(project.resolve())
    recorded.require_version()
    with terminal.progress("Reading the template's releases ..."):
        repository = stack.enter_context(sources.repository(recorded.address, offline=offline))
    if note := sources.without_address(recorded.address):
        print(f"note: {note}", file=sys.stderr)
    if reason := repository.unreachable:
        warn(f"{recorded.address} does not answer ({reason}); only known releases are used")
    return recorded, repository


def merged(
    stack: ExitStack, project: Path, repository: "Repository", version: str, settings: Sequence[str]
) -> "Update":
    """An update, ready to be shown or applied for as long as the stack lasts."""
    from forge_scaffold.update import prepared

    with terminal.progress("Merging the template's changes with yours ..."):
        return stack.enter_context(prepared(project.resolve(), repository, version, settings))


def warn(message: str) -> None:
    """Print a warning on stderr."""
    style = terminal.painter(sys.stderr)
    text = printable(masked(message))
    print(f"{style('warning:', fg='yellow', bold=True)} {text}", file=sys.stderr)


def report(update: "Update", *, done: bool) -> str:
    """An update for people: versions, answers, files, and what needs attention."""
    return "\n".join(_lines(update, done=done))


def _lines(update: "Update", *, done: bool) -> Iterator[str]:
    paint = terminal.painter(sys.stdout)
    if not update.changes:
        yield "Nothing to change."
        return
    before = update.before.version
    if before != update.version:
        yield f"Template  {before} -> {paint(update.version, bold=True)}"
    for change in update.answers:
        after = paint(shown(change.after), bold=True)
        yield f"Answer    {change.question}: {shown(change.before)} -> {after}"
    counts = dict.fromkeys(("added", "changed", "removed"), 0)
    for file in update.changes:
        counts[file.kind] += 1
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    yield f"Files     {summary or 'none'}"
    conflicting = {conflict.path for conflict in update.conflicts}
    for file in update.changes:
        if file.path not in conflicting:
            sign, colour = {"added": ("+", "green"), "removed": ("-", "red")}.get(
                file.kind, ("~", "yellow")
            )
            yield f"  {paint(sign, fg=colour)} {printable(file.path)}"
    for conflict in update.conflicts:
        yield f"  {paint('!', fg='red', bold=True)} {printable(conflict.path)}  {conflict.reason}"
    yield from _attention(update)
    yield _last_line(update, done=done)


def _attention(update: "Update") -> Iterator[str]:
    if update.left_alone:
        yield ""
        yield "Changed by the template, removed here: left out"
        yield from (f"  {printable(path)}" for path in update.left_alone)
    if update.lost_names:
        yield ""
        yield "Uses of what the template no longer has"
        yield from (f"  {_located(one.place, one.name)}" for one in update.lost_names)
    if update.findings:
        yield ""
        yield "New findings of forge check"
        for finding in update.findings:
            text = f"{finding.severity}[{finding.rule}] {finding.message}"
            yield f"  {_located(finding.place, text)}"


def _located(place: "Place", text: str) -> str:
    return printable(f"{place.path}:{place.line}: {text}")


def _last_line(update: "Update", *, done: bool) -> str:
    if not done:
        return "\nNothing was written."
    if update.conflicts:
        count = len(update.conflicts)
        files = "1 file has both sides" if count == 1 else f"{count} files have both sides"
        return f"\n{files}: choose, then commit; or take all of it back: forge update --abort"
    return "\nReview with git diff, then commit; or take it back: forge update --abort"


def shown(value: object) -> str:
    """An answer as people read it."""
    return "(not recorded)" if value is None else terminal.shown(value)


def as_json(update: "Update", *, done: bool) -> str:
    """An update for programs."""
    return json.dumps(as_data(update, done=done), indent=2, default=str)


def as_data(update: "Update", *, done: bool) -> dict[str, Any]:
    """An update as JSON has it."""
    return {
        "project": str(update.project),
        "written": done,
        "template": {
            "address": update.before.shown_address,
            "before": update.before.version,
            "after": update.version,
        },
        "answers": {
            change.question: {"before": change.before, "after": change.after}
            for change in update.answers
        },
        "files": [{"path": file.path, "change": file.kind} for file in update.changes],
        "conflicts": [
            {"path": conflict.path, "reason": conflict.reason} for conflict in update.conflicts
        ],
        "left_out": list(update.left_alone),
        "lost_names": [
            {"path": str(one.place.path), "line": one.place.line, "name": one.name}
            for one in update.lost_names
        ],
        "findings": [
            {
                "rule": finding.rule,
                "severity": str(finding.severity),
                "path": str(finding.place.path),
                "line": finding.place.line,
                "message": finding.message,
            }
            for finding in update.findings
        ],
    }


def carry_out(update: "Update", *, dry_run: bool, json_report: bool) -> None:
    """Apply an update unless it is a dry run, and report it.

    Raises:
        typer.Exit: with 1 when it needs attention.
    """
    if not dry_run:
        update.apply()
    report_of = as_json if json_report else report
    typer.echo(report_of(update, done=not dry_run))
    if not update.is_clean:
        raise typer.Exit(1)
