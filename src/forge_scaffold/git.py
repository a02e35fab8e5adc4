"""Run git unattended: no prompts, no translations, in the folder named and nowhere else."""

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from forge_scaffold.errors import UserError

# Set inside git hooks and aliases; they would point git at another repository, or change how it
# reads paths. Configuration that the user passes on (GIT_CONFIG_COUNT, GIT_SSH_COMMAND) stays.
LOCATION = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_ATTR_SOURCE", "GIT_CEILING_DIRECTORIES",
        "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_DIR", "GIT_EXTERNAL_DIFF", "GIT_GLOB_PATHSPECS",
        "GIT_GRAFT_FILE", "GIT_ICASE_PATHSPECS", "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE",
        "GIT_LITERAL_PATHSPECS", "GIT_NAMESPACE", "GIT_NOGLOB_PATHSPECS", "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX", "GIT_QUARANTINE_PATH", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)  # fmt: skip

_USER_INFO = re.compile(r"\b([a-z][a-z0-9+.-]*://)([^\s/?#]*)@", re.IGNORECASE)


def git(
    folder: Path,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> str:
    """Run git in a folder.

    Args:
        folder: where git runs.
        *arguments: options and the subcommand, as on the command line.
        variables: further environment variables.
        stdin: what git reads; nothing by default.

    Returns:
        What git prints, without the last newline. Bytes that are not UTF-8 become surrogates.

    Raises:
        UserError: git is missing or fails; the message is git's own, without credentials.
    """
    printed = git_bytes(folder, *arguments, variables=variables, stdin=stdin)
    return printed.decode(errors="surrogateescape").removesuffix("\n")


def git_bytes(
    folder: Path,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> bytes:
    """Run git as `git` does; exactly what it prints."""
    try:
        process = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**environment(), **(variables or {})},
            capture_output=True,
            check=False,
            input=stdin,
        )
    except OSError as error:
        if error.filename == "git":
            raise UserError("git: not found on PATH; install git") from error
        raise UserError(f"{error.filename or folder}: {error.strerror}") from error
    if process.returncode:
        subcommand = next((word for word in arguments if re.fullmatch(r"[a-z][a-z-]*", word)), "")
        words = _last_words(process.stderr.decode(errors="replace"))
        raise UserError(masked(f"git {subcommand}: {words}"))
    return process.stdout


def environment() -> dict[str, str]:
    """The environment for git: this process's, unattended and without a location.

    Raises:
        UserError: GIT_CONFIG_COUNT is not a number, which stops every git command.
    """
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    if count and not re.fullmatch(r"\d{1,9}", count, re.ASCII):
        raise UserError(f"GIT_CONFIG_COUNT={count}: not a number; unset it or correct it")
    kept = {name: value for name, value in os.environ.items() if name not in LOCATION}
    if "GIT_SSH" not in kept and not _ssh_configured():
        kept.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


@cache
def _ssh_configured() -> bool:
    """Whether core.sshCommand is set, which GIT_SSH_COMMAND would override."""
    with suppress(OSError):
        query = ["git", "config", "--get", "core.sshCommand"]
        return not subprocess.run(query, capture_output=True, check=False).returncode
    return False


def masked(text: str) -> str:
    """The text with the credentials in its URLs replaced by asterisks."""

    def mask(match: re.Match[str]) -> str:
        # ssh's user name alone ("git@") is part of the address; over HTTP it may be a token.
        secret = ":" in match[2] or match[1].lower().startswith("http")
        return f"{match[1]}***@" if secret else match[0]

    return _USER_INFO.sub(mask, text)


def _last_words(errors: str) -> str:
    """The line of git's messages that says why it failed."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    for number, line in reversed(list(enumerate(lines))):
        if line.startswith(("fatal: ", "error: ")):
            words = line.partition(": ")[2]
            # What ssh printed says more than git, which only knows that it stopped.
            cut_off = number and "Could not read from remote repository" in words
            return f"{lines[number - 1]}; {words}" if cut_off else words
    return lines[-1] if lines else "failed"
