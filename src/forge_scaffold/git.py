"""Run git unattended: no prompts, no translations, in the folder named and nowhere else."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from forge_scaffold.errors import UserError
from forge_scaffold.printable import masked

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

# Whatever a repository configures to run does not run.
_UNHOOKED = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.fsmonitor=false")

# Git's first commands in a new repository: nothing in the background, no invented author, and no
# refusal of line endings.
_FIRST = ("-c", "gc.auto=0", "-c", "user.useConfigOnly=true", "-c", "core.safecrlf=false")

ISOLATED: Mapping[str, str] = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
"""Variables for a scratch repository, in which nobody's configuration counts."""

_PAIR = ("KEY", "VALUE")


def git(
    folder: Path,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float | None = None,
) -> str:
    """Run git in a folder.

    Args:
        folder: where git runs.
        *arguments: options and the subcommand, as on the command line.
        variables: further environment variables.
        stdin: what git reads; nothing by default.
        timeout: seconds after which git is stopped.

    Returns:
        What git prints, without the last newline. Bytes that are not UTF-8 become surrogates.

    Raises:
        UserError: git is missing or fails; the message is git's own, without credentials.
    """
    printed = git_bytes(folder, *arguments, variables=variables, stdin=stdin, timeout=timeout)
    return printed.decode(errors="surrogateescape").removesuffix("\n")


def git_bytes(
    folder: Path,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float | None = None,
) -> bytes:
    """Run git as `git` does; exactly what it prints."""
    import subprocess

    try:
        process = subprocess.run(
            ["git", *_UNHOOKED, *arguments],
            cwd=folder,
            env={**environment(), **(variables or {})},
            capture_output=True,
            check=False,
            input=stdin,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"git: stopped after {timeout} seconds") from error
    except OSError as error:
        if error.filename == "git":
            raise UserError("git: not found on PATH; install git") from error
        raise UserError(f"{error.filename or folder}: {error.strerror}") from error
    if process.returncode:
        subcommand = next((word for word in arguments if re.fullmatch(r"[a-z][a-z-]*", word)), "")
        words = _last_words(process.stderr.decode(errors="replace"))
        raise UserError(masked(f"git {subcommand}: {words}"))
    return process.stdout


def work_tree(folder: Path) -> Path | None:
    """The top of the work tree that a folder is in, by its files: git is not run."""
    folder = Path(os.path.realpath(folder))
    tops = (top for top in (folder, *folder.parents) if os.path.lexists(top / ".git"))
    return next(tops, None)


def surrounding(target: Path) -> Path | None:
    """The top of the work tree that a new folder will be part of.

    A folder that its repository ignores is not part of it, such as one that is made to be tried out
    in a clone of Forge.
    """
    top = work_tree(target)
    if top is None or top == Path(os.path.realpath(target)):
        return top
    with suppress(UserError):  # git fails when the path is not ignored
        git(top, "check-ignore", "--quiet", "--", f"{os.path.realpath(target)}/")
        return None
    return top


def start(folder: Path, message: str) -> tuple[str, str]:
    """Make a folder a git repository with one commit of all that is in it.

    The user's configuration counts: the branch's name, the author, signing. A commit that fails
    leaves the files staged, ready for another try.

    Returns:
        What was made, and what could not be; either may be empty.
    """
    try:
        git(folder, "init", "--quiet")
        git(folder, *_FIRST, "add", "--all")
    except UserError as error:
        from shutil import rmtree

        rmtree(folder / ".git", ignore_errors=True)
        return "", f"no git repository was made ({error}); updates need one"
    try:
        git(folder, *_FIRST, "commit", "--quiet", f"--message={message}")
    except UserError as error:
        reason = str(error) if _has_author(folder) else "git has no user.name and user.email"
        made = "a new repository, with every file staged"
        return made, f"nothing was committed: {reason}; set that right and commit"
    return "a new repository with one commit", ""


def _has_author(folder: Path) -> bool:
    try:
        git(folder, *_FIRST, "var", "GIT_AUTHOR_IDENT")
        git(folder, *_FIRST, "var", "GIT_COMMITTER_IDENT")
    except UserError:
        return False
    return True


def environment() -> dict[str, str]:
    """The environment for git: this process's, unattended and without a location.

    Raises:
        UserError: GIT_CONFIG_COUNT does not count GIT_CONFIG_KEY_0 and so on, which stops git.
    """
    count = os.environ.get("GIT_CONFIG_COUNT") or "0"
    if not re.fullmatch(r"\d{1,4}", count, re.ASCII):
        raise UserError(f"GIT_CONFIG_COUNT={count}: not a number; unset it or correct it")
    pairs = (f"GIT_CONFIG_{part}_{number}" for number in range(int(count)) for part in _PAIR)
    if missing := next((name for name in pairs if name not in os.environ), None):
        raise UserError(f"GIT_CONFIG_COUNT={count}: there is no {missing}; unset or correct it")
    kept = {name: value for name, value in os.environ.items() if name not in LOCATION}
    if "GIT_SSH" not in kept and not _ssh_configured():
        kept.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    # Reading takes no lock: it would get in the way of another process that writes.
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


@cache
def _ssh_configured() -> bool:
    """Whether core.sshCommand is set, which GIT_SSH_COMMAND would override."""
    import subprocess

    with suppress(OSError):
        query = ["git", "config", "--get", "core.sshCommand"]
        return not subprocess.run(query, capture_output=True, check=False).returncode
    return False


def _last_words(errors: str) -> str:
    """The lines of git's messages that say why it failed."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    words = [line[7:] for line in lines if line.startswith(("fatal: ", "error: "))][-2:]
    if words and "Could not read from remote repository" in words[-1]:
        # What ssh printed before says more than git, which only knows that it stopped.
        words = [*lines[: lines.index(f"fatal: {words[-1]}")][-1:], words[-1]]
    return "; ".join(words) or (lines[-1] if lines else "failed")
