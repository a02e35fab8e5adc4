"""`forge relink`: move a project to another address of its template."""

from pathlib import Path
from typing import Annotated

import typer

from forge_scaffold.cli import options, terminal
from forge_scaffold.errors import UserError


def relink(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="https://....git or git@host:path.")
    ],
    project: options.Project = Path(),
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask the address for the project's version.")
    ] = False,
) -> None:
    """Record another address of the template, and change nothing else.

    For a template that has moved, or whose address was not known when the project was made. The
    address has to have the version that the project records.

    \b
    Examples:
      forge relink https://git.example.org/team/forge.git
      forge relink git@example.org:team/forge.git
    """
    from forge_scaffold.addresses import public_address
    from forge_scaffold.recorded import Recorded
    from forge_scaffold.worktree import replace_file

    recorded = Recorded.read(project.resolve(), any_address=True)
    public = public_address(address)
    if public is None:
        raise UserError(
            f"{address}: not an address for others; use https://....git or git@host:path"
        )
    if not offline:
        with terminal.progress(f"Asking {public} ..."):
            _require_version(public, recorded.version)
    replace_file(recorded.file, recorded.relinked(public))
    typer.echo(f"{recorded.file.name}: the template is at {public}")


def _require_version(address: str, version: str) -> None:
    from forge_scaffold.sources import repository

    with repository(address, offline=False) as found:
        if found.unreachable:
            raise UserError(f"{address}: {found.unreachable}; --offline records it without asking")
        if version not in found.releases.values():
            releases = ", ".join(found.releases.values()) or "none"
            raise UserError(
                f"{address}: has no release {version}, which the project records; it has {releases}"
            )
