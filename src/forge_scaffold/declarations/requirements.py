"""Requirements files, as pip reads them, and those that they include."""

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from forge_scaffold.declarations.dependency import Collector, Dependency, problem_at
from forge_scaffold.declarations.files import Source
from forge_scaffold.errors import UserError
from forge_scaffold.printable import excerpt, masked

DEEPEST = 20  # requirements files including each other


def read(
    into: Collector, source: Source, group: str = "", including: tuple[Path, ...] = ()
) -> None:
    """Every requirement of a requirements file and of those that it includes."""
    if source.path.resolve() in including:
        raise UserError(f"{source.path}: includes itself, through {len(including)} files")
    if len(including) >= DEEPEST:
        raise UserError(f"{source.path}: more than {DEEPEST} requirements files deep")
    compiled = re.search(r"(?m)^\s*#\s+via\b", source.text) is not None
    for line, entry, comment in _entries(source.text):
        if option := re.match(r"(-r|--requirement|-c|--constraint)[\s=]*(\S+)", entry):
            included = source.path.parent / option[2]
            if option[1] in {"-c", "--constraint"}:
                into.notes.append(f"{source.name}:{line}: constraints are not applied")
            elif "://" in option[2]:
                into.notes.append(f"{source.name}:{line}: a requirements file elsewhere: not read")
            else:
                again = (*including, source.path.resolve())
                read(into, Source.read(included), group, again)
        elif re.match(r"(-e|--editable)\b", entry):
            _elsewhere(into, source, line, re.sub(r"^\S+[\s=]*", "", entry), group)
        elif entry.startswith("-"):
            option_name = re.split(r"[\s=]", entry)[0]
            into.notes.append(
                f"{source.name}:{line}: {excerpt(option_name)} is not applied; configure pip"
            )
        elif not compiled or _asked_for(comment):
            _requirement_line(into, source, line, entry, group)


def _requirement_line(into: Collector, source: Source, line: int, entry: str, group: str) -> None:
    wanted = re.split(r"\s--?[a-z]", entry)[0].strip()
    try:
        parsed = Requirement(wanted)
    except (InvalidRequirement, RecursionError) as error:
        if re.match(r"(\w+\+)?\w+://|[./~]|\S+\.(whl|zip|tar\.gz)\b", wanted):
            _elsewhere(into, source, line, wanted, group)
            return
        raise UserError(
            f"{source.name}:{line}: not a requirement (PEP 508): {excerpt(wanted)!r}"
        ) from error
    into.parsed(parsed, f"{source.name}:{line}", group)


def _elsewhere(into: Collector, source: Source, line: int, address: str, group: str) -> None:
    """A requirement by its address; the name is in the fragment, or the last part."""
    if re.fullmatch(r"\./?(\[[^]]*\])?", address):
        into.notes.append(f"{source.name}:{line}: the project itself; name its pyproject.toml")
        return
    address = masked(address)
    egg = re.search(r"#egg=([\w.-]+)", address)
    last = re.split(r"[/\\]", address.partition("#")[0].rstrip("/"))[-1]
    name = egg[1] if egg else re.split(r"@|\.git|-\d", last)[0]
    if not re.fullmatch(r"[A-Z\d]|[A-Z\d][\w.-]*[A-Z\d]", name, re.IGNORECASE | re.ASCII):
        name = "unnamed"
    into.found.append(
        Dependency(
            canonicalize_name(name),
            name,
            f"{source.name}:{line}",
            group,
            problem=problem_at(address.partition("#")[0]),
        )
    )


def _entries(content: str) -> Iterator[tuple[int, str, str]]:
    """Line, text and comment of a requirements file's entries: continuations joined.

    The comment is the one on the entry's lines and on those of nothing but a comment behind it,
    which is where pip-compile and uv say what an entry is there for.
    """
    pending, start = "", 1
    comments: list[str] = []
    entries: list[tuple[int, str, list[str]]] = []
    for number, line in enumerate(content.splitlines(), start=1):
        code = re.sub(r"(^|\s)#.*", "", line).strip()
        comment = re.search(r"(?:^|\s)#(.*)", line)
        if not pending:
            start, comments = number, []
        if comment:
            comments.append(comment[1].strip())
            if not code and not pending and entries:
                entries[-1][2].append(comment[1].strip())
        pending += code
        if pending.endswith("\\"):
            pending = pending[:-1].rstrip() + " "
        elif pending:
            entries.append((start, pending, comments))
            pending = ""
    if pending.strip():
        entries.append((start, pending.strip(), comments))
    for start, entry, comments in entries:
        yield start, entry, "\n".join(comments)


def _asked_for(comment: str) -> bool:
    """Whether a compiled requirement is there for the project itself, not for another package."""
    if "via" not in comment:
        return True
    return re.search(r"-r |\(|pyproject\.toml|\.in\b|\.txt\b", comment) is not None
