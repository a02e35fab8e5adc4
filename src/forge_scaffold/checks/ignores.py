"""What hides findings: comments beside the code, and patterns of files in pyproject.toml."""

import io
import re
import tokenize
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import NamedTuple

from forge_scaffold.project import Project

# Where a comment may stand.
SUFFIXES = frozenset({".py", ".toml", ".json", ".jsonc", ".txt", ".yml", ".yaml"})

_COMMENT = re.compile(r"(?:#|//)\s*forge:\s*ignore(?:\[([^\]]*)\])?")


class Comment(NamedTuple):
    """A comment that says to ignore findings on its line.

    Attributes:
        path: its file.
        line: counted from 1.
        column: counted from 1.
        rules: ids or prefixes; "" for every rule.
    """

    path: PurePosixPath
    line: int
    column: int
    rules: tuple[str, ...]

    def covers(self, rule: str) -> bool:
        """Whether it is about a rule."""
        return rule.startswith(self.rules)


def comments(project: Project, path: PurePosixPath) -> dict[int, Comment]:
    """The comments of a file, by line; what is in a string is none."""
    if path.suffix not in SUFFIXES:
        return {}
    text = project.shown(path)
    if "forge:" not in text:
        return {}
    found = _of_python(text) if path.suffix == ".py" else None
    if found is None:
        found = list(_of_lines(text, quotes=path.suffix not in {".py", ".txt"}))
    return {line: Comment(path, line, column, _rules(match)) for line, column, match in found}


Found = tuple[int, int, re.Match[str]]  # line, column and what a comment says


def _of_python(text: str) -> list[Found] | None:
    """The comments of Python code; None where it cannot be read."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return None
    return [
        (token.start[0], token.start[1] + match.start() + 1, match)
        for token in tokens
        if token.type == tokenize.COMMENT and (match := _COMMENT.search(token.string))
    ]


def _of_lines(text: str, *, quotes: bool) -> Iterator[Found]:
    for number, line in enumerate(text.split("\n"), start=1):
        match = _COMMENT.search(line)
        if match and not (quotes and _in_string(line[: match.start()])):
            yield number, match.start() + 1, match


def _in_string(before: str) -> bool:
    """Whether a quote is open at the end of a part of a line."""
    quote = ""
    for character in before:
        if character == quote:
            quote = ""
        elif not quote and character in {'"', "'"}:
            quote = character
    return bool(quote)


def _rules(match: re.Match[str]) -> tuple[str, ...]:
    if match[1] is None:
        return ("",)
    return tuple(part.strip() for part in match[1].split(",") if part.strip())


def fits(pattern: str, path: PurePosixPath) -> bool:
    """Whether a pattern is about a file: `src/*.py`, or a folder with everything in it."""
    return fnmatchcase(str(path), pattern) or path.is_relative_to(pattern.rstrip("/") or "/")
