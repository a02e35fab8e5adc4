"""What the commands that argparse reads have in common."""

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from functools import partial
from typing import NoReturn

from forge_scaffold.errors import UserError


class Parser(ArgumentParser):
    """An argument parser whose help is the same on every terminal.

    Raises:
        UserError: arguments that cannot be understood.
    """

    def __init__(self, name: str, summary: str, details: str) -> None:
        super().__init__(
            prog=f"forge {name}",
            description=summary,
            epilog=details,
            formatter_class=partial(RawDescriptionHelpFormatter, width=80),
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Say what cannot be understood, as every command does."""
        raise UserError(f"{message}; see  {self.prog} --help")
