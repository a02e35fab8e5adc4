"""`forge fleet`: the status and the update of many projects."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forge_scaffold.cli import options, projects, terminal
from forge_scaffold.cli.help import SETTINGS, ForgeCommand, ForgeGroup
from forge_scaffold.cli.update import ToOption

if TYPE_CHECKING:
    from forge_scaffold.fleet import Member, Report, Result

    # Works on the members, reports each; returns why an address did not answer.
    Work = Callable[[Sequence[Member], Report], Mapping[str, str]]

app = typer.Typer(cls=ForgeGroup, context_settings=SETTINGS, subcommand_metavar="COMMAND ...")

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="PATH",
        help="A project, or a folder with projects at any depth; - reads paths from stdin.",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, metavar="N", help="How many projects to work on at once (default: CPUs)."
    ),
]


@app.callback(invoke_without_command=False)
def fleet() -> None:
    """Show or update many projects at once.

    \b
    Examples:
      forge fleet status ~/services
      forge fleet update ~/services --dry-run
    """


@app.command("status", cls=ForgeCommand, context_settings=SETTINGS)
def status(
    paths: Paths,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Exit with 1 when a project has an update, or a conflict is open."
        ),
    ] = False,
    files: Annotated[
        bool,
        typer.Option("--files", help="Compare files with the template: a second a project."),
    ] = False,
    offline: options.Offline = False,
    as_json: options.Json = False,
    jobs: Jobs = None,
) -> None:
    """Show how each project stands to its template.

    Exit code 2: a project cannot be read, or a path has no project.

    \b
    Examples:
      forge fleet status services
      forge fleet status services other/worker --check
      ls -d */ | forge fleet status - --json
    """
    from forge_scaffold.cli import fleet_report
    from forge_scaffold.fleet import Failure, statuses
    from forge_scaffold.status import Status

    work = partial(statuses, compare=files, offline=offline, jobs=_count(jobs))
    results, stopped = _results("Reading projects", paths, work, lambda *_: None)
    found = {member: result for member, result in results.items() if result}
    if as_json:
        print(fleet_report.statuses_as_json(found))
    else:
        print(fleet_report.table(found))
    known = [result for result in found.values() if isinstance(result, Status)]
    needs_attention = check and any(each.is_outdated or each.conflicts for each in known)
    has_failed = any(isinstance(result, Failure) for result in found.values())
    raise typer.Exit(stopped or (2 if has_failed else int(needs_attention)))


@app.command("update", cls=ForgeCommand, context_settings=SETTINGS)
def update(
    paths: Paths,
    to: ToOption = None,
    settings: options.Settings = None,
    dry_run: options.DryRun = False,
    offline: options.Offline = False,
    as_json: options.Json = False,
    jobs: Jobs = None,
) -> None:
    """Bring each project to a newer version of its template, as forge update does.

    A project that cannot be updated does not stop the others. Exit code 1: conflicts or new
    findings. Exit code 2: a project was refused or failed, or a path has no project.

    \b
    Examples:
      forge fleet update services --dry-run
      forge fleet update services --to v1.2.0
      forge fleet update services --set providers-=mistral
    """
    from forge_scaffold.cli import fleet_report
    from forge_scaffold.fleet import Failure, Plan, updates
    from forge_scaffold.update import Update

    done = not dry_run

    def show(member: "Member", result: "Result", width: int) -> None:
        if not as_json:
            print(fleet_report.line(member, result, width, done=done), flush=True)

    plan = Plan(to, settings or (), dry_run)
    work = partial(updates, plan=plan, offline=offline, jobs=_count(jobs))
    results, stopped = _results("Updating projects", paths, work, show)
    if as_json:
        print(fleet_report.updates_as_json(results, done=done))
    else:
        print(f"\n{fleet_report.totals(results, done=done)}")
    if dry_run and not as_json:
        print("Nothing was written.")
    changed = [result for result in results.values() if isinstance(result, Update)]
    if done and changed and not as_json:
        print("Review and commit each; or take one back: forge update --abort --project PATH")
    has_failed = any(isinstance(result, Failure) for result in results.values())
    needs_attention = not all(each.is_clean for each in changed)
    raise typer.Exit(stopped or (2 if has_failed else int(needs_attention)))


def _count(jobs: int | None) -> int:
    return jobs or os.cpu_count() or 1


def _results(
    doing: str,
    paths: Sequence[Path],
    work: "Work",
    show: "Callable[[Member, Result, int], None]",
) -> "tuple[dict[Member, Result | None], int]":
    """Work on the projects at the paths, and show each result as it comes.

    Returns:
        The results in the order of the paths, None where it was stopped before there was one; and
        the exit code when it was stopped, else 0.
    """
    from forge_scaffold.cli.fleet_report import width
    from forge_scaffold.fleet import discover

    members, failures = discover(_given(paths))
    everyone = [*members, *(member for member, _ in failures)]
    results: dict[Member, Result | None] = dict.fromkeys(everyone)
    widest, stopped = width(everyone), 0
    with terminal.counted(doing) as progress:

        def report(member: "Member", result: "Result") -> None:
            results[member] = result
            terminal.clear_line()
            show(member, result, widest)
            progress(sum(each is not None for each in results.values()), len(everyone))

        for failure in failures:
            report(*failure)
        try:
            unreachable = work(members, report)
        except (KeyboardInterrupt, SystemExit) as stop:
            unreachable = {}
            code = getattr(stop, "code", None)
            stopped = code if isinstance(code, int) else 128 + signal.SIGINT
    for address, reason in unreachable.items():
        projects.warn(f"{address} does not answer ({reason}); only known releases are used")
    if stopped:
        count = sum(each is not None for each in results.values())
        print(
            f"stopped after {count} of {len(everyone)} projects; the others are as they were",
            file=sys.stderr,
        )
    return results, stopped


def _given(paths: Iterable[Path]) -> "Iterable[Path]":
    for path in paths:
        if str(path) == "-":
            lines = sys.stdin.buffer.read().splitlines()
            yield from (Path(os.fsdecode(line)) for line in lines if line.strip())
        else:
            yield path
