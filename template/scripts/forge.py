"""Run Forge at this project's template version.

    uv run python scripts/forge.py check
    uv run python scripts/forge.py update

`.copier-answers.yml` records the address and the version of the template. The tool lives in the
same repository, so `uv tool run` fetches it from there. To run another program instead, such as a
Forge that is installed already, name it in the environment variable FORGE.
"""

import os
import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
ANSWERS = ".copier-answers.yml"
UNKNOWN = "https://forge-workers.invalid/template.git"
"""The address that stands for a template whose address nobody knows."""

# Nothing else passes: no path of one machine, no credentials, no -oProxyCommand in disguise.
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
PATH = r"[A-Za-z0-9._~+-]+(?:/[A-Za-z0-9._~+-]+)*"
HTTPS = re.compile(rf"https://{NAME}(?::\d+)?/{PATH}\.git")
SSH = re.compile(rf"ssh://(?:{NAME}@)?{NAME}(?::\d+)?/{PATH}")
SCP = re.compile(rf"({NAME}@{NAME}):/?({PATH})")
# Release tags as PEP 440 spells versions. The dot keeps out hashes that happen to be numbers.
TAG = re.compile(r"v?\d+(?:\.\d+)+(?:(?:a|b|rc)\d+)?(?:\.post\d+)?(?:\.dev\d+)?")


class AnswersError(Exception):
    """The answers file does not say which Forge to run; the message says how to fix it."""


def value(text: str, key: str) -> str:
    """The plain or quoted text under a top-level key of the answers file.

    Raises:
        AnswersError: the key is missing, or there more than once.
    """
    found = re.findall(rf"^{key}:[ \t]*(.*?)[ \t\r]*$", text, re.MULTILINE)
    if len(found) != 1:
        problem = "is missing" if not found else "is there more than once"
        raise AnswersError(f"{ANSWERS}: {key} {problem}; restore the file with git")
    quoted = re.fullmatch(r"(['\"])(.*)\1", found[0])
    return quoted[2] if quoted else found[0]


def requirement(text: str) -> str:
    """What to install, as a pip requirement, from the text of the answers file.

    Raises:
        AnswersError: the address or the version is not one that other machines can use.
    """
    address, tag = value(text, "_src_path"), value(text, "_commit")
    if address == UNKNOWN:
        raise UnknownAddressError(
            "this project does not know its template's address; set it with `forge relink ADDRESS`"
        )
    if scp := SCP.fullmatch(address):
        address = f"ssh://{scp[1]}/{scp[2]}"
    elif not HTTPS.fullmatch(address) and not SSH.fullmatch(address):
        raise AnswersError(
            f"{ANSWERS}: _src_path: {address[:200]!r} is not https://HOST/PATH.git, ssh:// or"
            " git@HOST:PATH; set it with `forge relink ADDRESS`"
        )
    if not TAG.fullmatch(tag):
        raise AnswersError(
            f"{ANSWERS}: _commit: {tag[:200]!r} is not a release such as v1.2.0; update the project"
            " to one with `forge update`"
        )
    return f"git+{address}@{tag}"


class UnknownAddressError(AnswersError):
    """No address is known; checks that run by themselves pass without Forge."""


def command(arguments: list[str]) -> list[str]:
    """The program to run, with its arguments.

    Raises:
        AnswersError: the answers file does not say which.
    """
    if program := os.environ.get("FORGE"):
        return [program, *arguments]
    try:
        text = (PROJECT / ANSWERS).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AnswersError(f"{ANSWERS}: cannot be read: {error}") from error
    uv = os.environ.get("UV", "uv")  # `uv run` sets it to itself
    return [uv, "tool", "run", "--from", requirement(text), "forge", *arguments]


def main(arguments: list[str]) -> int:
    """Become Forge; an exit code where that is not possible."""
    try:
        program, *rest = command(arguments)
        os.chdir(PROJECT)
        os.execvp(program, [program, *rest])  # noqa: S606 - no shell
    except UnknownAddressError as error:
        # A project without an address must still be able to pass its CI, and to be committed.
        if arguments[:1] == ["check"]:
            if os.environ.get("GITHUB_ACTIONS") == "true":
                print(f"::notice title=forge check was skipped::{error}")
                return 0
            if os.environ.get("PRE_COMMIT") == "1":
                print(f"forge check was skipped: {error}")
                return 0
        print(f"error: {error}", file=sys.stderr)
    except AnswersError as error:
        print(f"error: {error}", file=sys.stderr)
    except OSError as error:
        print(f"error: {program}: {error.strerror}; install uv, or set FORGE", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
