"""`forge update`: bring a project to a newer version of its template."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from forge_scaffold.cli import options, projects, suggested, terminal

ToOption = Annotated[
    str | None, typer.Option(metavar="VERSION", help="The release to reach (default: newest).")
]


def update(
    to: ToOption = None,
    settings: options.Settings = None,
    dry_run: options.DryRun = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Take back the update that is not committed yet.")
    ] = False,
    offline: options.Offline = False,
    as_json: options.Json = False,
    project: options.Project = Path(),
) -> None:
    """Bring a project to a newer version of its template.

    Merges the template's changes with yours, and runs forge check on the result before anything
    is written. The project has to be committed. Exit code 1: conflicts or new findings.

    \b
    Examples:
      forge update
      forge update --dry-run
      forge update --to v1.2.0
      forge update --abort
    """
    with ExitStack() as stack:
        from forge_scaffold.update import target_of
        from forge_scaffold.worktree import WorkTree

        if abort:
            count = WorkTree.of(project.resolve()).take_back()
            typer.echo(f"Taken back: {count} {'file' if count == 1 else 'files'} as committed.")
            return
        recorded, repository = projects.opened(stack, project, offline=offline)
        if not dry_run:
            WorkTree.of(project.resolve()).require_clean()
        target = target_of(to, recorded, repository)
        if target == recorded.version and not settings and not as_json:
            typer.echo(f"{target}: up to date.")
            return
        merged = projects.merged(stack, project, repository, target, settings or ())
        projects.carry_out(merged, dry_run=dry_run, json_report=as_json)


def diff(
    to: ToOption = None,
    settings: options.Settings = None,
    offline: options.Offline = False,
    project: options.Project = Path(),
) -> None:
    """Print the patch that forge update would make, and write nothing.

    Uncommitted changes are not looked at. Exit code 1: the update needs attention.

    \b
    Examples:
      forge diff
      forge diff --to v1.2.0
      forge diff --set database=turso
    """
    with ExitStack() as stack:
        import sys

        from forge_scaffold.update import target_of

        recorded, repository = projects.opened(stack, project, offline=offline)
        target = target_of(to, recorded, repository)
        merged = projects.merged(stack, project, repository, target, settings or ())
        if patch := merged.patch(colour=terminal.colours(sys.stdout)):
            typer.echo(patch)
        if not merged.is_clean:
            projects.warn("conflicts or new findings; forge update --dry-run lists them")
            raise typer.Exit(1)


def set_(
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY=VALUE",
            help="An answer; KEY+=VALUE and KEY-=VALUE change a list.",
            autocompletion=suggested.answers,
        ),
    ],
    dry_run: options.DryRun = False,
    offline: options.Offline = False,
    as_json: options.Json = False,
    project: options.Project = Path(),
) -> None:
    """Change answers of a project, at the template's version that it has.

    The files that depend on them are merged with your changes and checked, as by forge update.

    \b
    Examples:
      forge set database=turso providers+=mistral
      forge set auth=oidc --dry-run
    """
    with ExitStack() as stack:
        from forge_scaffold.worktree import WorkTree

        recorded, repository = projects.opened(stack, project, offline=offline)
        if not dry_run:
            WorkTree.of(project.resolve()).require_clean()
        merged = projects.merged(stack, project, repository, recorded.version, settings)
        projects.carry_out(merged, dry_run=dry_run, json_report=as_json)
