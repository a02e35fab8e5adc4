"""Processes that end with this one, however it ends."""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from typing import IO

Command = Sequence[str | Path]


class CommandError(Exception):
    """A command failed; the message has the end of its output."""


def progress(message: str) -> None:
    """Write a line of progress to stderr."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def started(
    command: Command,
    folder: Path,
    *,
    stdout: int | IO[str] = DEVNULL,
    stderr: int | IO[str] = DEVNULL,
    files: Sequence[int] = (),
) -> Iterator[Popen[str]]:
    """Run a command in its own session, and kill everything in that session at the end.

    Raises:
        CommandError: there is no such command.
    """
    try:
        process = Popen(
            command,
            cwd=folder,
            stdin=DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
            pass_fds=files,
        )
    except FileNotFoundError as error:
        raise CommandError(f"{error.filename} is not installed") from None
    with process:
        try:
            yield process
        finally:
            # Also when the process has ended: its children may not have.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def run(command: Command, folder: Path) -> str:
    """Run a command to its end.

    Returns:
        What it printed, stderr included.

    Raises:
        CommandError: it failed.
    """
    with started(command, folder, stdout=PIPE, stderr=STDOUT) as process:
        output, _ = process.communicate()
    if process.returncode:
        shown = " ".join(map(str, command))
        end = "\n".join(output.splitlines()[-30:])
        raise CommandError(f"`{shown}` failed in {folder}:\n{end}")
    return output
