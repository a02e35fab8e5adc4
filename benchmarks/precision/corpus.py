"""Planted faults: Markdown files of small diffs, from a project with a fault to one without.

An entry starts with a heading, `### RULES: what it is`. RULES are ids or prefixes of rules, `|`
between them, of which one is expected; `silent` expects none. Its diffs are fenced blocks,
```` ```diff PATH ````:

- A line starts with `-` in the faulty project only, with `+` in its clean twin only, and with a
  space, or not at all, in both. A file without a line is not written.
- `>>PATH` appends to the file of the base project instead of replacing it.
- A finding counts on a `-` line and on one that ends with `# <-`. With `(anywhere)` after the RULES
  it counts in any line of any file.
- `<<KIND:COUNT>>` becomes that many random characters, so that no token stands in this repository,
  and a file of nothing but `<<zeros:COUNT>>` that many bytes.
"""

import random
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from forge_scaffold.checks import examples

FAULTS = Path(__file__).parent / "faults"
MARK = "  # <-"

BASE: Mapping[str, str] = {
    **examples.BASE,
    "pyproject.toml": """\
[project]
name = "example"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["httpx>=0.28,<1", "pydantic>=2.10,<3"]

[tool.forge]
platform = ["workers-runtime-sdk"]
transitive = ["anyio", "h11", "httpcore", "idna"]

[tool.forge.allow]
httpx = ">=0.27.2,<1"
pydantic = ">=2.10,<3"
""",
    "src/entry.py": """\
import httpx
import pydantic
from workers import Response, WorkerEntrypoint

import service


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"{service.__name__} {httpx.__version__} {pydantic.VERSION}")
""",
    "src/service.py": '"""The service."""\n',
}
"""The project that entries change: that of the rules' examples, with pydantic."""

CHARACTERS: Mapping[str, str] = {
    "alnum": string.ascii_letters + string.digits,
    "digits": string.digits,
    "hex": "0123456789abcdef",
    "letters": string.ascii_letters,
    "mixed": string.ascii_letters + string.digits,
    "upper": string.ascii_uppercase + string.digits,
}

_HEADING = re.compile(
    r"### (?P<rules>[A-Z0-9|]+|silent)(?P<anywhere> \(anywhere\))?: (?P<title>.+)"
)
_RANDOM = re.compile(rf"<<({'|'.join(CHARACTERS)}):(\d+)>>")
_ZEROS = re.compile(r"<<zeros:(\d+)>>\s*")


@dataclass
class Entry:
    """One fault and its clean twin; or, without rules, what must stay silent.

    Attributes:
        family: The file that it stands in.
        title: What it is.
        rules: Ids or prefixes of rules; one of them is expected.
        anywhere: The finding counts in any line.
        faulty: Path -> text of the project with the fault.
        clean: Path -> text of its twin.
        lines: The lines, by path, in which a finding counts.
    """

    family: str
    title: str
    rules: tuple[str, ...]
    anywhere: bool
    faulty: dict[str, str] = field(default_factory=lambda: dict(BASE))
    clean: dict[str, str] = field(default_factory=lambda: dict(BASE))
    lines: set[tuple[str, int]] = field(default_factory=set)

    def expects(self, rule: str, path: str, line: int) -> bool:
        """Whether a finding is the expected one."""
        return rule.startswith(self.rules) and self.is_place(path, line)

    def is_place(self, path: str, line: int) -> bool:
        """Whether the fault is there."""
        return bool(self.rules) and (self.anywhere or (path, line) in self.lines)

    def add(self, path: str, diff: list[str]) -> None:
        """The files of one diff."""
        appended = path.startswith(">>")
        path = path.removeprefix(">>")
        start = BASE[path] + "\n" if appended else ""
        number = start.count("\n")
        faulty: list[str] = []
        clean: list[str] = []
        for line in diff:
            side, text = line[:1], line[1:]
            marked = text.endswith(MARK)
            text = text.removesuffix(MARK)
            if side != "+":
                faulty.append(text)
                if side == "-" or marked:
                    self.lines.add((path, number + len(faulty)))
            if side != "-":
                clean.append(text)
        for files, lines in ((self.faulty, faulty), (self.clean, clean)):
            files.pop(path, None)
            if lines or appended:
                files[path] = start + "".join(f"{line}\n" for line in lines)


def entries(folder: Path = FAULTS) -> list[Entry]:
    """All of the corpus, family by family.

    Raises:
        ValueError: A file is not written as described above.
    """
    return [entry for path in sorted(folder.glob("*.md")) for entry in _entries(path)]


def _entries(path: Path) -> Iterator[Entry]:
    entry: Entry | None = None
    block: tuple[str, list[str]] | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if block is not None and line == "```":
            if entry is None:
                raise ValueError(f"{path}:{number}: a diff before the first heading")
            entry.add(*block)
            block = None
        elif block is not None:
            block[1].append(line)
        elif line.startswith("```diff "):
            block = (line.removeprefix("```diff "), [])
        elif line.startswith("### "):
            if entry:
                yield entry
            heading = _HEADING.fullmatch(line)
            if heading is None:
                raise ValueError(f"{path}:{number}: not a heading of an entry")
            told = heading["rules"]
            rules = () if told == "silent" else tuple(told.split("|"))
            entry = Entry(path.stem, heading["title"], rules, bool(heading["anywhere"]))
    if entry:
        yield entry


def write(folder: Path, files: Mapping[str, str]) -> None:
    """A project on disk, its placeholders filled in."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if zeros := _ZEROS.fullmatch(text):
            with target.open("wb") as file:
                file.truncate(int(zeros[1]))
        else:
            target.write_text(_RANDOM.sub(_characters, text), encoding="utf-8")


def _characters(match: re.Match[str]) -> str:
    """Random characters, the same ones in every run; digits among them where they may be."""
    draw = random.Random(match.start())  # noqa: S311 - to look like a token, not to be one
    kind, count = match[1], int(match[2])
    drawn = draw.choices(CHARACTERS[kind], k=count)
    if kind == "mixed":
        for place in range(3, count, 5):
            drawn[place] = draw.choice(string.digits)
    return "".join(drawn)
