"""Which rules count where: the command line, `[tool.forge.check]`, and comments beside the code.

[tool.forge.check]
select = ["DEP", "RUN101"]      # ids or prefixes; all rules when there is none
ignore = ["SIZ"]
exclude = ["src/generated/*"]   # files, or folders, in which nothing is reported
baseline = "forge-baseline.json"  # accepted findings, which --write-baseline writes
budget = "20 MiB"               # what may be uploaded, for SIZ001

[tool.forge.check.per-file-ignores]
"src/legacy/*" = ["RUN"]
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple, Self

from forge_scaffold.checks.finding import Finding
from forge_scaffold.checks.ignores import fits
from forge_scaffold.errors import UserError
from forge_scaffold.project import Project, table

KEYS = ("select", "ignore", "exclude", "per-file-ignores", "baseline", "budget")

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB)?\s*")
_UNITS = {"B": 1, "KB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30}


class Options(NamedTuple):
    """Which rules count where.

    Attributes:
        select: ids or prefixes of the rules to follow; empty for all.
        ignore: ids or prefixes of those to leave out.
        per_file: the same for files, by pattern.
        exclude: patterns of files in which nothing is reported.
        baseline: the file of accepted findings, relative to the project; None without one.
        budget: bytes that may be uploaded; None when nobody set a limit.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file: Mapping[str, tuple[str, ...]] = ()  # type: ignore[assignment]
    exclude: tuple[str, ...] = ()
    baseline: str | None = None
    budget: int | None = None

    @classmethod
    def of(
        cls,
        project: Project,
        known: Collection[str],
        select: Sequence[str] = (),
        ignore: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> Self:
        """What the command line says, and where it is silent, what the project says.

        Args:
            project: it may have a table [tool.forge.check].
            known: the ids of all rules.
            select: ids or prefixes from the command line; they replace the project's.
            ignore: the same; they add to the project's.
            exclude: patterns from the command line; they add to the project's.

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
            exclude=(*exclude, *_patterns(said.get("exclude", []), place)),
            baseline=_file(said.get("baseline"), place),
            per_file=_per_file(said.get("per-file-ignores", {}), known, place),
            budget=_budget(said.get("budget"), place),
        )

    def follows(self, rule: str) -> bool:
        """Whether a rule counts at all."""
        chosen = not self.select or rule.startswith(self.select)
        return chosen and not rule.startswith(self.ignore)

    def excludes(self, path: PurePosixPath) -> bool:
        """Whether nothing is reported in a file."""
        return any(fits(pattern, path) for pattern in self.exclude)

    def hides(self, finding: Finding) -> bool:
        """Whether a pattern of files says that a finding does not count."""
        path = finding.place.path
        return self.excludes(path) or any(
            fits(pattern, path) and finding.rule.startswith(ids)
            for pattern, ids in dict(self.per_file).items()
        )


def _patterns(data: object, place: str) -> list[str]:
    if not isinstance(data, list) or not all(isinstance(each, str) for each in data):
        raise UserError(f'{place}: exclude: not a list of patterns, such as ["src/generated/*"]')
    return data


def _file(data: object, place: str) -> str | None:
    if data is not None and (not isinstance(data, str) or not data or "\0" in data):
        raise UserError(f'{place}: baseline: not a file, such as "forge-baseline.json"')
    return data


def _ids(data: object, known: Collection[str], place: str) -> Iterator[str]:
    if not isinstance(data, list) or not all(isinstance(each, str) for each in data):
        raise UserError(f'{place}: not a list of rules, such as ["DEP", "RUN101"]')
    for each in data:
        for name in filter(None, (part.strip() for part in each.split(","))):
            if not any(rule.startswith(name) for rule in known):
                raise UserError(
                    f"{place}: {name}: no rule begins like that; list them with  forge rule"
                )
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
