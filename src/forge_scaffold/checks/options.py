"""Which rules count where: the command line, `[tool.forge.check]`, and comments beside the code.

[tool.forge.check]
select = ["DEP", "RUN101"]      # ids or prefixes; all rules when there is none
ignore = ["SIZ"]
budget = "20 MiB"               # what may be uploaded, for SIZ001

[tool.forge.check.per-file-ignores]
"src/legacy/*" = ["RUN"]
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import lru_cache
from io import StringIO
from pathlib import PurePosixPath
from typing import Self

from forge_scaffold.checks.finding import Finding
from forge_scaffold.errors import UserError
from forge_scaffold.project import Project, table

KEYS = ("select", "ignore", "per-file-ignores", "budget")

_COMMENT = re.compile(r"(?:#|//)\s*forge:\s*ignore(?:\[([^\]]*)\])?")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB)?\s*")
_UNITS = {"B": 1, "KB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}


@dataclass(frozen=True)
class Options:
    """Which rules count where.

    Attributes:
        select: ids or prefixes of the rules to follow; empty for all.
        ignore: ids or prefixes of those to leave out.
        per_file: the same for files, by pattern.
        budget: bytes that may be uploaded; None when nobody set a limit.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file: Mapping[str, tuple[str, ...]] = ()  # type: ignore[assignment]
    budget: int | None = None

    @classmethod
    def of(
        cls,
        project: Project,
        known: Collection[str],
        select: Sequence[str] = (),
        ignore: Sequence[str] = (),
    ) -> Self:
        """What the command line says, and where it is silent, what the project says.

        Args:
            project: it may have a table [tool.forge.check].
            known: the ids of all rules.
            select: ids or prefixes from the command line; they replace the project's.
            ignore: the same; they add to the project's.

        Raises:
            UserError: a key or an id that does not exist, or a value of another kind.
        """
        said = table(project.settings, "check")
        place = "pyproject.toml: [tool.forge.check]"
        for key in said:
            if key not in KEYS:
                from difflib import get_close_matches

                near = get_close_matches(key, KEYS, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(KEYS)}"
                raise UserError(f"{place}: {key}: {hint}")
        return cls(
            select=tuple(_ids(list(select), known, "--select"))
            or tuple(_ids(said.get("select", []), known, f"{place}: select")),
            ignore=(
                *_ids(list(ignore), known, "--ignore"),
                *_ids(said.get("ignore", []), known, f"{place}: ignore"),
            ),
            per_file=_per_file(said.get("per-file-ignores", {}), known, place),
            budget=_budget(said.get("budget"), place),
        )

    def follows(self, rule: str) -> bool:
        """Whether a rule counts at all."""
        chosen = not self.select or rule.startswith(self.select)
        return chosen and not rule.startswith(self.ignore)

    def wants(self, finding: Finding, project: Project) -> bool:
        """Whether a finding counts: no pattern and no comment on its line says otherwise."""
        path = str(finding.place.path)
        for pattern, ids in dict(self.per_file).items():
            if fnmatch(path, pattern) and finding.rule.startswith(ids):
                return False
        return not _commented(finding, project)


def _ids(data: object, known: Collection[str], place: str) -> Iterator[str]:
    if not isinstance(data, list) or not all(isinstance(each, str) for each in data):
        raise UserError(f'{place}: not a list of rules, such as ["DEP", "RUN101"]')
    for each in data:
        for name in filter(None, (part.strip() for part in each.split(","))):
            if not any(rule.startswith(name) for rule in known):
                raise UserError(f"{place}: {name}: no rule begins like that; see  forge rule --all")
            yield name


def _per_file(data: object, known: Collection[str], place: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(data, dict):
        raise UserError(f"{place}: per-file-ignores: not a table of patterns and lists of rules")
    return {
        pattern: tuple(_ids(ids, known, f"{place}: per-file-ignores: {pattern}"))
        for pattern, ids in data.items()
    }


def _budget(data: object, place: str) -> int | None:
    if data is None:
        return None
    size = bytes_of(data) if isinstance(data, str) else None
    if size is None:
        raise UserError(f'{place}: budget: not a size, such as "20 MiB"')
    return size


def bytes_of(text: str) -> int | None:
    """A size such as "20 MiB" in bytes; None for what is no size."""
    match = _SIZE.fullmatch(text)
    return int(float(match[1]) * _UNITS[match[2] or "B"]) if match else None


def _commented(finding: Finding, project: Project) -> bool:
    """Whether a comment on the finding's line says to ignore it."""
    path = finding.place.path
    if path.suffix not in {".py", ".toml", ".json", ".jsonc", ".txt", ".yml", ".yaml"}:
        return False
    line = project.line(path, finding.place.line)
    match = _COMMENT.search(line) if "forge:" in line else None
    if match is None or _in_string(match.start(), finding.place.line, path, project):
        return False
    if match[1] is None:
        return True
    return finding.rule.startswith(
        tuple(part.strip() for part in match[1].split(",") if part.strip())
    )


def _in_string(column: int, number: int, path: PurePosixPath, project: Project) -> bool:
    """Whether what looks like a comment stands in a string."""
    if path.suffix == ".py":
        comments = _comments(project.shown(path))
        return comments is not None and number not in comments
    quote = ""
    for character in project.line(path, number)[:column]:
        if character == quote:
            quote = ""
        elif not quote and character in {'"', "'"}:
            quote = character
    return bool(quote) and path.suffix != ".txt"


@lru_cache(maxsize=16)
def _comments(source: str) -> frozenset[int] | None:
    """The lines of Python code that have a comment; None where it cannot be read."""
    from tokenize import COMMENT, TokenError, generate_tokens

    try:
        tokens = list(generate_tokens(StringIO(source).readline))
    except (TokenError, SyntaxError):
        return None
    return frozenset(token.start[0] for token in tokens if token.type == COMMENT)
