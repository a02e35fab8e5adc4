"""What can go wrong, as the person at the terminal should read it."""

from collections.abc import Sequence


class ForgeError(Exception):
    """A failure with a message for the user and an exit code for the shell."""

    exit_code = 1


class UserError(ForgeError):
    """Something the user told us cannot be done; every problem found, in one message.

    Args:
        *problems: one line each, naming the place, the value and the fix.
    """

    exit_code = 2

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems: Sequence[str] = problems

    def __str__(self) -> str:
        return "\n".join(self.problems)


class RejectedError(ForgeError):
    """The template was rendered, but the checks object to the result."""


class InternalError(ForgeError):
    """A mistake of Forge's own: not a finding, and not the user's."""

    exit_code = 2

    def __str__(self) -> str:
        return f"Forge failed ({super().__str__()}). The traceback above says where: report it"
