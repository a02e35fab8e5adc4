"""What `forge adopt` prints: answers with their evidence, the patch, the files it may add."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from forge_scaffold.adopt import Comparison
from forge_scaffold.cli.terminal import painter
from forge_scaffold.config import Answers
from forge_scaffold.printable import printable
from forge_scaffold.project import Project
from forge_scaffold.recorded import FILE
from forge_scaffold.sources import Source

WIDTH = 40
SHOWN_FILES = 10


@dataclass(frozen=True)
class Adopted:
    """A project adopted, or as it would be.

    Attributes:
        project: as it was read.
        answers: what it was adopted with, each with its evidence.
        source: the template.
        comparison: the project beside the template's files.
        added: the template's files that were asked for.
        dry_run: whether nothing was written.
    """

    project: Project
    answers: Answers
    source: Source
    comparison: Comparison
    added: Sequence[PurePosixPath]
    dry_run: bool

    @property
    def to_write(self) -> list[str]:
        """The files that are written unless it is a dry run."""
        return [*map(str, self.added), FILE]


def as_json(adopted: Adopted) -> str:
    """The result for programs."""
    comparison = adopted.comparison
    return json.dumps(
        {
            "path": str(adopted.project.root),
            "answers": {
                name: {"value": value, "origin": adopted.answers.origins[name]}
                for name, value in adopted.answers.as_dict().items()
            },
            "unread": [str(broken) for broken in adopted.project.broken],
            "template": {
                "address": adopted.source.address,
                "version": adopted.source.version,
                "caveat": adopted.source.caveat or None,
            },
            "same": list(map(str, comparison.same)),
            "different": list(map(str, comparison.different)),
            "missing": list(map(str, comparison.missing)),
            "blocked": {str(path): reason for path, reason in comparison.blocked.items()},
            "patch": comparison.patch,
            "written": [] if adopted.dry_run else adopted.to_write,
        },
        indent=2,
    )


def as_text(adopted: Adopted) -> str:
    """The result for people; piped, its patch can be applied."""
    return "\n".join(_lines(adopted))


def _lines(adopted: Adopted) -> Iterator[str]:
    paint = painter(sys.stdout)
    comparison = adopted.comparison
    yield from _answers(adopted)
    if broken := adopted.project.broken:
        yield from ["", paint("Not read, so nothing is inferred from them", bold=True)]
        yield from (f"  {printable(str(each))}" for each in broken)
    if remaining := [path for path in comparison.missing if path not in adopted.added]:
        title = f"Missing ({_files(remaining)}); --add FILE|FOLDER writes them, --add . all"
        yield from ["", paint(title, bold=True), *(f"  {path}" for path in remaining)]
    if comparison.blocked:
        yield from ["", paint("Left out", bold=True)]
        yield from (f"  {path}: {printable(why)}" for path, why in comparison.blocked.items())
    if comparison.patch:
        title = f"Different from the template ({_files(comparison.different)})"
        yield from ["", paint(title, bold=True), "", *_patch(comparison.patch)]
    yield ""
    if adopted.source.caveat:
        yield f"{paint('Note:', fg='yellow')} {adopted.source.caveat}."
    if adopted.dry_run:
        yield f"Nothing was written. Without --dry-run: {_listed(adopted)}."
        return
    yield f"{paint('✓', fg='green', bold=True)} Wrote {_listed(adopted)}."
    yield "  Commit it, and forge update merges the template's releases from now on;"
    yield "  or take it back: forge update --abort"


def _answers(adopted: Adopted) -> Iterator[str]:
    paint = painter(sys.stdout)
    answers = adopted.answers.as_dict()
    shown = {name: _shown(value) for name, value in answers.items()}
    names = max(map(len, shown), default=0)
    widest = max(map(len, shown.values()), default=0)
    yield paint(f"{'question':<{names}}  {'answer':<{widest}}  evidence", bold=True)
    for name, text in shown.items():
        origin = printable(adopted.answers.origins[name])
        yield f"{name:<{names}}  {text:<{widest}}  {paint(origin, dim=True)}"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    line = text.partition("\n")[0]
    short = line if len(line) <= WIDTH else line[:WIDTH]
    return printable(short if short == text else f"{short} ...")


def _patch(patch: str) -> Iterator[str]:
    """The patch; on a terminal in colour, with what could steer it shown as escapes."""
    if not sys.stdout.isatty():
        yield from patch.split("\n")
        return
    paint = painter(sys.stdout)
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in patch.split("\n"):
        text = "\t".join(map(printable, line.split("\t")))
        yield paint(text, fg=colours.get(line[:1], ""))


def _listed(adopted: Adopted) -> str:
    if len(adopted.added) <= SHOWN_FILES:
        return ", ".join(adopted.to_write)
    return f"{_files(adopted.added)} and {FILE}"


def _files(paths: Sequence[PurePosixPath]) -> str:
    return f"{len(paths)} file{'' if len(paths) == 1 else 's'}"
