"""The commands as `forge --help` lists them."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from forge_scaffold.cli import adopt, audit, check, new, relink, rule, status, update

app = typer.Typer(
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(name="new", add_help_option=False)(new.new)
app.command(name="adopt")(adopt.adopt)
app.command(name="update")(update.update)
app.command(name="diff")(update.diff)
app.command(name="set")(update.set_)
app.command(name="status")(status.status)
app.command(name="relink")(relink.relink)


def _handed_on(name: str, main: Callable[[Sequence[str]], None], summary: str) -> None:
    """Register a command that reads its own arguments."""

    def run(context: typer.Context) -> None:
        main(context.args)

    settings = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(name=name, help=summary, add_help_option=False, context_settings=settings)(run)


_handed_on("check", check.main, check.SUMMARY)
_handed_on("rule", rule.main, rule.SUMMARY)
_handed_on("audit", audit.main, audit.SUMMARY)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"forge {version('forge-workers')}")
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
    """Generate Cloudflare Python Workers that run, and check any that are there.

    Start with:  forge new my-service
    """
