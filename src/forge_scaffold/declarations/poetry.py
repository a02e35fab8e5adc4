"""Poetry's table of pyproject.toml, and its way to write a dependency, which Pipfile shares."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from forge_scaffold.declarations.dependency import URL_PROBLEM, Collector, applies, problem_at
from forge_scaffold.declarations.files import Source, strings, table, text
from forge_scaffold.errors import UserError
from forge_scaffold.printable import excerpt


def read(into: Collector, source: Source, poetry: Mapping[str, Any]) -> None:
    """Every dependency of the table [tool.poetry]."""
    extras = {
        canonicalize_name(name): extra
        for extra, names in table(poetry.get("extras")).items()
        for name in strings(names)
    }
    sections = {"": table(poetry.get("dependencies"))}
    sections["group dev"] = table(poetry.get("dev-dependencies"))
    for group, section in table(poetry.get("group")).items():
        sections[f"group {group}"] = {
            **sections.get(f"group {group}", {}),
            **table(table(section).get("dependencies")),
        }
    for group, section in sections.items():
        for name, wanted in section.items():
            if canonicalize_name(name) == "python":
                continue
            extra = extras.get(canonicalize_name(name)) if not group else None
            add(into, source, name, wanted, f"extra {extra}" if extra else group)


def add(into: Collector, source: Source, name: str, wanted: object, group: str) -> None:
    """One dependency as Poetry and Pipfile write it: a constraint, a table, or several."""
    place = f"{source.name}:{source.line_of_key(name)}"
    choices = wanted if isinstance(wanted, list) else [wanted]
    for choice in choices:
        options = {"version": choice} if isinstance(choice, str) else table(choice)
        try:
            extras = ",".join(strings(options.get("extras")))
            parsed = Requirement(f"{name}[{extras}]" if extras else name)
            parsed.specifier = SpecifierSet(pep440(text(options.get("version")) or "*"))
            if markers := text(options.get("markers")):
                parsed.marker = Requirement(f"{name}; {markers}").marker
        except (InvalidRequirement, InvalidSpecifier, RecursionError) as error:
            raise UserError(
                f"{place}: {excerpt(name)}: not a constraint: {excerpt(str(choice))!r}"
            ) from error
        if not applies(parsed):
            continue
        before = len(into.found)
        into.parsed(parsed, place, group)
        if options.keys() & {"git", "path", "url", "file"}:
            problem = problem_at(str(options["path"])) if "path" in options else URL_PROBLEM
            into.found[before] = replace(into.found[before], problem=problem)
        return
    into.notes.append(f"{place}: {name} is not installed on Workers")


def pep440(constraint: str) -> str:
    """Poetry's constraint as PEP 440 says it: `^1.2` is `>=1.2,<2`, `~1.2` is `>=1.2,<1.3`.

    Alternatives (`||`) become the last one: the newest releases are what is asked for.
    """
    parts = [part.strip() for part in re.split(r"\|\|?", constraint)[-1].split(",")]
    return ",".join(filter(None, map(_pep440, parts)))


def _pep440(part: str) -> str:
    if part in {"", "*"}:
        return ""
    match = re.fullmatch(r"([\^~])\s*(\d+(?:\.\d+)*)(.*)", part)
    if match is None:
        return re.sub(r"^(?=[\dv])", "==", part)
    numbers = [int(number) for number in match[2].split(".")[:9]]
    if match[1] == "^":
        place = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
    else:
        place = min(1, len(numbers) - 1)
    end = [*numbers[:place], numbers[place] + 1]
    return f">={match[2]}{match[3]},<{'.'.join(map(str, end))}"
