"""The command line: one thin module a command. Nothing heavy is imported before a command runs."""

import sys
from importlib.metadata import version
from io import TextIOWrapper
from typing import Annotated

import typer

from forge_scaffold.cli import new

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(name="new", add_help_option=False)(new.new)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"forge {version('forge-scaffold')}")
        raise typer.Exit


@app.callback()
def forge(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Generate Cloudflare Python Workers that run.

    Start with:  forge new my-service
    """


def main() -> None:
    """The `forge` command."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    app()
