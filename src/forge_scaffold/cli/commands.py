"""The commands, as `forge --help` lists them.

A new command is a module with a function, and a line here.
"""

from argparse import Namespace
from collections.abc import Sequence
from inspect import Parameter as Keyword
from inspect import Signature
from typing import Annotated, Any

import typer

from forge_scaffold.cli import (
    FAST,
    adopt,
    completion,
    fast,
    fleet,
    new,
    relink,
    schema,
    status,
    update,
    version,
    wants_help,
)
from forge_scaffold.cli.arguments import Command, Parameter
from forge_scaffold.cli.help import SETTINGS, ForgeCommand, ForgeGroup, UsageError, explained

START = "Start a project"
MAINTAIN = "Keep a project up to date"
ANY_WORKER = "Work with any Worker"
FORGE = "Set up Forge"

app = typer.Typer(
    cls=ForgeGroup,
    add_completion=False,
    context_settings=SETTINGS,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    subcommand_metavar="COMMAND ...",
)


def _add(function: Any, panel: str, cls: type[ForgeCommand] = ForgeCommand) -> None:  # noqa: ANN401
    """Register a function as the command of its name."""
    name = function.__name__.rstrip("_")  # set_ has the name of a built-in
    app.command(name=name, cls=cls, rich_help_panel=panel, context_settings=SETTINGS)(function)


def _add_fast(command: Command, panel: str) -> None:
    """Register a command that argparse reads, for the help and for shells."""

    def run(**values: Any) -> None:  # noqa: ANN401 - whatever the command takes
        command.run(Namespace(**values))

    run.__name__ = command.name
    # "\b" keeps the lines of a paragraph as they are.
    run.__doc__ = f"{command.summary}\n\n{command.details}".replace("\n\n", "\n\n\b\n")
    run.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Keyword(each.key, Keyword.KEYWORD_ONLY, default=None, annotation=_annotation(each))
            for each in command.parameters
        ]
    )
    run.__annotations__ = {each.key: _annotation(each) for each in command.parameters}
    _add(run, panel)


def _annotation(parameter: Parameter) -> Any:  # noqa: ANN401 - what Typer reads
    details: dict[str, Any] = {"help": parameter.help, "autocompletion": parameter.complete}
    if parameter.choices:
        details["autocompletion"] = lambda: list(parameter.choices)
    if parameter.is_argument:
        value = list[str] if parameter.many else str
        return Annotated[value | None, typer.Argument(metavar=parameter.name, **details)]
    if parameter.is_flag:
        return Annotated[bool | None, typer.Option(parameter.name, **details)]
    kind = list[str] if parameter.many else str
    return Annotated[
        kind | None, typer.Option(parameter.name, metavar=parameter.value_name, **details)
    ]


_add(new.new, START, new.NewCommand)
_add(adopt.adopt, START)
_add(schema.schema, START)
for _function in (
    status.status,
    update.diff,
    update.update,
    update.set_,
    relink.relink,
):
    _add(_function, MAINTAIN)
app.add_typer(fleet.app, name="fleet", rich_help_panel=MAINTAIN)
for _name in FAST:
    _add_fast(fast(_name), ANY_WORKER)
_add(completion.completion, FORGE)


def run(arguments: Sequence[str]) -> None:
    """Run the command that the arguments name.

    Raises:
        UserError: they cannot be understood.
        SystemExit: with the exit code, unless that is 0.
    """
    group: Any = typer.main.get_command(app)
    if arguments[0] in group.commands and wants_help(arguments):
        print(_help(group, arguments))  # at once, without what Typer loads to read values
        return
    try:
        with group.make_context("forge", list(arguments)) as context:
            group.invoke(context)
    except typer.Exit as end:
        if end.exit_code:
            raise SystemExit(end.exit_code) from None
    except UsageError as error:
        raise explained(error) from error


def _help(group: Any, arguments: Sequence[str]) -> str:  # noqa: ANN401 - Typer exports no type
    """The help of the command that the arguments begin with, be it a command of a group."""
    context: Any = typer.Context(group, info_name="forge")
    for name in arguments:
        command = getattr(context.command, "commands", {}).get(name)
        if command is None:
            break
        context = typer.Context(command, context, name, **command.context_settings)
    return str(context.get_help())


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version())
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
    """Generate Cloudflare Python Workers, keep them up to date, and check any Worker.

    Start with:  forge new my-service
    """
