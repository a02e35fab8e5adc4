"""One look for the help of every command, and one format for mistakes in arguments."""

# ruff: noqa: ANN401 - Typer exports no types for its formatter, parameters and usage errors
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from forge_scaffold.cli import run
from forge_scaffold.cli.arguments import unknown_option, usage_error
from forge_scaffold.errors import UserError
from forge_scaffold.suggestions import nearest

# What Typer raises for arguments that it cannot understand.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]

SETTINGS = {"help_option_names": ["-h", "--help"], "terminal_width": 80}


class ForgeCommand(TyperCommand):
    """A command as `forge COMMAND --help` shows it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; a mistake knows which command it is about."""
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            error.ctx = ctx  # type: ignore[attr-defined]
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line without the name of the command."""
        arguments = (_argument(each) for each in self.get_params(ctx) if _is_argument(each))
        return ["[OPTIONS]", *arguments]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments and the options."""
        write_parameters(self.get_params(ctx), formatter)


class ForgeGroup(TyperGroup):
    """All commands as `forge --help` shows them: by purpose, in the order of registration."""

    def main(self, args: Any = None, *_: Any, **__: Any) -> None:
        """Run as the `forge` command does, wherever the arguments come from."""
        run(sys.argv[1:] if args is None else list(args))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The commands, then the options."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command and not command.hidden:
                panel = getattr(command, "rich_help_panel", None) or "Commands"
                summary = (command.help or "").partition("\n\n")[0].replace("\n", " ")
                panels.setdefault(str(panel), []).append((name, summary.strip()))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)
        write_parameters(self.get_params(ctx), formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is named.

        Raises:
            UserError: there is no such command.
        """
        name = args[0]
        if name.startswith("-"):
            known = [option for each in self.get_params(ctx) for option in each.opts]
            raise unknown_option(name, known, ctx.command_path)
        if name not in self.commands:
            near = nearest(name, self.commands)
            hint = f"; did you mean {near}?" if near else ""
            raise usage_error(f"no such command: {name}{hint}", ctx.command_path)
        return super().resolve_command(ctx, args)


def write_parameters(parameters: Iterable[Any], formatter: Any) -> None:
    """The sections on arguments and options."""
    for title, wanted in (("Arguments", True), ("Options", False)):
        rows = list(_rows(each for each in parameters if _is_argument(each) is wanted))
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)


def _rows(parameters: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for each in parameters:
        if not getattr(each, "hidden", False):
            names = ", ".join(sorted(each.opts, key=len))
            name = _metavar(each) if _is_argument(each) else f"{names} {_value(each)}".rstrip()
            yield name, getattr(each, "help", None) or ""


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _metavar(parameter: Any) -> str:
    return parameter.metavar or str(parameter.name).upper()


def _argument(parameter: Any) -> str:
    name = _metavar(parameter) + ("..." if parameter.nargs != 1 else "")
    return name if parameter.required else f"[{name}]"


def _value(option: Any) -> str:
    return "" if getattr(option, "is_flag", False) else _metavar(option)


def explained(error: Exception) -> UserError:
    """Typer's complaint about arguments, as argparse's are written."""
    details: Any = error
    program = details.ctx.command_path if details.ctx else "forge"
    message = str(details.format_message()).rstrip(".")
    option = str(getattr(details, "option_name", ""))
    if hasattr(details, "possibilities"):
        known = [name for each in details.ctx.command.get_params(details.ctx) for name in each.opts]
        return unknown_option(option, known, program)
    if option and "requires" in message:
        return usage_error(f"{option} needs a value", program)
    message = re.sub(r"^Missing argument '(.*)'", r"missing argument: \1", message)
    message = re.sub(r"^Got unexpected extra [^ ]+ \((.*)\)", r"unexpected argument: \1", message)
    message = re.sub(r"^Invalid value for '(.*?)'", r"\1", message)
    return usage_error(message, program)
