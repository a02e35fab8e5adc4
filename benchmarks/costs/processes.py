"""Processes that end with this one, however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
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
    env: Mapping[str, str] | None = None,
    stdout: int | IO[str] = subprocess.DEVNULL,
    stderr: int | IO[str] = subprocess.DEVNULL,
    files: Sequence[int] = (),
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in its own session, and kill everything in that session at the end."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=True,
        pass_fds=files,
    )
    try:
        yield process
    finally:
        # Also when the process has ended: its children may not have.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


def run(command: Command, folder: Path, *, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end.

    Returns:
        What it printed, stderr included.

    Raises:
        CommandError: it failed.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with started(command, folder, env=env, **pipes) as process:
        output, _ = process.communicate()
    if process.returncode:
        shown = " ".join(map(str, command))
        end = "\n".join(output.splitlines()[-30:])
        raise CommandError(f"`{shown}` failed in {folder}:\n{end}")
    return output
