"""`forge status`: how a project stands to its template."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forge_scaffold.cli import options, projects, terminal
from forge_scaffold.printable import printable

if TYPE_CHECKING:
    from forge_scaffold.status import Status


def status(
    check: Annotated[
        bool,
        typer.Option("--check", help="Exit with 1 when there is an update, or a conflict is open."),
    ] = False,
    offline: options.Offline = False,
    as_json: options.Json = False,
    project: options.Project = Path(),
) -> None:
    """Show a project's template, version, answers, and files that differ from the template.

    \b
    Examples:
      forge status
      forge status --check --json
    """
    with ExitStack() as stack:
        from forge_scaffold.status import status as status_of

        _, repository = projects.opened(stack, project, offline=offline)
        with terminal.progress("Comparing with the template ..."):
            found = status_of(project.resolve(), repository)
        # An answer of a foreign template may be a date, which JSON does not have.
        as_text = json.dumps(as_data(found), indent=2, default=str) if as_json else None
        typer.echo(as_text or "\n".join(_lines(found)))
        if check and (found.is_outdated or found.conflicts):
            raise typer.Exit(1)


def as_data(found: "Status") -> dict[str, Any]:
    """A status as JSON has it."""
    return {
        "template": {
            "address": found.recorded.shown_address,
            "version": found.recorded.version,
            "newest": found.newest,
            "outdated": found.is_outdated,
            "unreachable": found.unreachable or None,
        },
        "answers": dict(found.answers),
        "update_waiting": found.waiting,
        "conflicts": list(found.conflicts),
        "uncommitted": list(found.uncommitted),
        "files": None
        if found.changed is None or found.removed is None
        else {"changed": list(found.changed), "removed": list(found.removed)},
    }


def _lines(found: "Status") -> Iterator[str]:
    paint = terminal.painter(sys.stdout)
    yield f"Template  {printable(found.recorded.shown_address)}"
    if found.is_outdated:
        newest = paint(f"{found.newest} is available: forge update", fg="yellow")
        yield f"Version   {found.recorded.version}; {newest}"
    else:
        yield f"Version   {found.recorded.version}; up to date"
    width = max(map(len, found.answers), default=0)
    yield "Answers"
    for name, value in found.answers.items():
        yield f"  {name:<{width}}  {projects.shown(value)}"
    for title, paths in (
        ("Conflicts", found.conflicts),
        ("Changed since the template made them", found.changed),
        ("Removed", found.removed),
    ):
        if paths:
            yield f"{title} ({len(paths)})"
            yield from (f"  {printable(path)}" for path in paths)
    if found.waiting:
        yield "An update waits to be committed; take it back with forge update --abort"
