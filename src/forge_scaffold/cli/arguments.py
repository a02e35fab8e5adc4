"""Commands whose arguments argparse reads, because that is fast.

What a command takes is described once, by a `Command`. Its parser is made from that here, and what
Typer shows in the help and the shell completes in `cli/commands.py`.
"""

import re
from argparse import ArgumentParser, ArgumentTypeError, HelpFormatter, Namespace
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

from forge_scaffold.errors import UserError


class Parameter(NamedTuple):
    """An argument or an option of a command.

    Attributes:
        name: `PATH` of an argument, `--select` of an option.
        help: what it is for.
        metavar: what stands for its value; empty for a flag.
        choices: the values it may have; empty for any.
        default: the value when it is not given; arguments are optional.
        many: an option may be given several times; an argument is all that comes after `--`.
        complete: the values that a shell suggests.
    """

    name: str
    help: str
    metavar: str = ""
    choices: tuple[str, ...] = ()
    default: str | None = None
    many: bool = False
    complete: Callable[[str], Sequence[str | tuple[str, str]]] | None = None

    @property
    def is_argument(self) -> bool:
        """Whether its position says what it is."""
        return not self.name.startswith("-")

    @property
    def is_flag(self) -> bool:
        """Whether it has no value."""
        return not (self.is_argument or self.metavar or self.choices)

    @property
    def key(self) -> str:
        """The attribute that holds its value."""
        return self.name.lstrip("-").lower().replace("-", "_")

    @property
    def value_name(self) -> str:
        """What stands for the value in the help."""
        return self.metavar or "|".join(self.choices)


class Command(NamedTuple):
    """A command that argparse reads.

    Attributes:
        name: how it is called.
        summary: one sentence for the list of commands.
        details: the rest of the help.
        parameters: what it takes.
        run: runs it with the values of the parameters.
    """

    name: str
    summary: str
    details: str
    parameters: tuple[Parameter, ...]
    run: Callable[[Namespace], None]

    def main(self, arguments: Sequence[str]) -> None:
        """Run the command with arguments as they are typed.

        Raises:
            UserError: they cannot be understood.
        """
        self.run(_Parser(self).read(arguments))


class _Parser(ArgumentParser):
    def __init__(self, command: Command) -> None:
        super().__init__(
            prog=f"forge {command.name}",
            add_help=False,
            allow_abbrev=False,
            formatter_class=partial(HelpFormatter, width=80),  # else it asks shutil for the width
        )
        self.known = ["--help"]
        self.rest = ""
        for parameter in command.parameters:
            self._add(parameter)

    def _add(self, parameter: Parameter) -> None:
        if parameter.is_argument and parameter.many:
            self.rest = parameter.key
            return
        how: dict[str, Any] = {"default": parameter.default}
        if parameter.is_flag:
            how = {"action": "store_true"}
        elif parameter.many:
            how = {"action": "append", "default": []}
        if parameter.choices:
            how["type"] = _one_of(parameter.choices)
        if parameter.is_argument:
            self.add_argument(parameter.key, nargs="?", metavar=parameter.name, **how)
        else:
            self.known.append(parameter.name)
            self.add_argument(parameter.name, dest=parameter.key, **how)

    def read(self, arguments: Sequence[str]) -> Namespace:
        end = arguments.index("--") if self.rest and "--" in arguments else len(arguments)
        args, unknown = self.parse_known_args(arguments[:end])
        if self.rest:
            setattr(args, self.rest, list(arguments[end + 1 :]))
        options = [each for each in unknown if each.startswith("-")]
        if options:
            raise unknown_option(options[0].partition("=")[0], self.known, self.prog)
        if unknown:
            self.error(f"unexpected argument: {unknown[0]}")
        return args

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument ([^:]+): expected one argument", r"\1 needs a value", message)
        raise usage_error(re.sub(r"^argument ([^:]+): ", r"\1: ", message), self.prog)


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def choice(text: str) -> str:
        if text not in choices:
            raise ArgumentTypeError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return choice


def usage_error(message: str, program: str) -> UserError:
    """The error for arguments that cannot be understood."""
    return UserError(f"{message}; see  {program} --help")


def unknown_option(name: str, known: Sequence[str], program: str) -> UserError:
    """The error for an option that does not exist."""
    from forge_scaffold.suggestions import nearest

    near = nearest(name, known)
    return usage_error(
        f"no such option: {name}{f'; did you mean {near}?' if near else ''}", program
    )
