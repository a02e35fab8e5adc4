"""What `forge new` prints: the project, its answers, and what to do next."""

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from forge_scaffold.cli.terminal import painter, shown
from forge_scaffold.config import Answers
from forge_scaffold.generate import Created
from forge_scaffold.printable import printable
from forge_scaffold.project import Project
from forge_scaffold.sources import Source

# The parts worth a word, in the order in which one meets them. Those a project lacks are not shown.
PARTS: Mapping[str, str] = {
    "src/entry.py": "where Cloudflare enters",
    "src/service/features.py": "the features of this service, one line each",
    "src/service/custom": "your own code: no update changes it",
    "src/service/chat.py": "POST /v1/chat, streaming too",
    "src/service/auth": "callers' tokens, verified on Web Crypto",
    "src/service/providers": "one small module a provider",
    "src/service/database": "chats in SQL, awaited",
    "src/service/telemetry": "one event a provider call, nothing personal",
    "src/service/platform.py": "the only module that touches JavaScript",
    "migrations": "the database's tables, step by step",
    "tests": "one set, for CPython and for workerd",
    "dev/standins": "providers and a key server on your own machine",
    "wrangler.toml": "bindings, secrets by name, staging and production",
}

# npm scripts worth running first, with what they give.
SCRIPTS: Mapping[str, str] = {
    "test": "every test inside workerd, and the Worker over HTTP",
    "local": "the Worker on workerd, with a first chat to paste: no account, no key",
    "deploy:staging": "when you have an account; README.md says how",
}


@dataclass(frozen=True)
class Made:
    """A project just made.

    Attributes:
        created: the project, and what was done besides.
        answers: what it was made from.
        source: the template.
        path: the target as the user wrote it.
        dry_run: nothing was written.
    """

    created: Created
    answers: Answers
    source: Source
    path: Path
    dry_run: bool = False

    @property
    def project(self) -> Project:
        """As it is on disk."""
        return self.created.project

    @property
    def notes(self) -> list[str]:
        """What is to know or to do, a sentence each."""
        return [*filter(None, [self.source.caveat]), *self.created.notes]

    @property
    def steps(self) -> list[tuple[str, str]]:
        """What to type next, each with what it gives."""
        scripts = self.project.scripts
        steps = [] if self.path == Path() else [(f"cd {shlex.quote(str(self.path))}", "")]
        if scripts:
            steps.append(("npm install", "workerd, its Python and every package"))
        return steps + [
            ("npm test" if name == "test" else f"npm run {name}", gives)
            for name, gives in SCRIPTS.items()
            if name in scripts
        ]


def as_json(made: Made) -> str:
    """The result for programs."""
    answers = made.answers.as_dict()
    return json.dumps(
        {
            "path": str(made.path.resolve()),
            "written": not made.dry_run,
            "answers": {
                name: {"value": value, "origin": made.answers.origins[name]}
                for name, value in answers.items()
            },
            "template": {
                "address": made.source.address,
                "version": made.source.version,
                "caveat": made.source.caveat or None,
            },
            "repository": made.created.repository or None,
            "notes": made.notes,
            "files": [str(path) for path in made.project.files],
            "next": [command for command, _ in made.steps],
        },
        indent=2,
    )


def as_text(made: Made, *, explain: bool = False) -> str:
    """The result for people.

    Args:
        made: the project.
        explain: show where each answer comes from.
    """
    lines = [*_answers(made, explain=explain), "", f"  {printable(str(made.path))}/"]
    if made.dry_run:
        heading = f"{_name(made)} would be written; nothing is, because of --dry-run."
        lines = [heading, "", *lines, *_tree(made.project.files)]
    else:
        lines = [
            f"{_paint('✓', fg='green', bold=True)} {_name(made)} is a Worker, ready to run.",
            "",
            *lines,
            *_overview(made),
        ]
    return "\n".join(lines)


def _paint(text: str, **style: str | bool) -> str:
    return painter(sys.stdout)(text, **style)


def _name(made: Made) -> str:
    name = str(made.answers.as_dict().get("service_name", made.path.resolve().name))
    return _paint(printable(name), bold=True)


def _answers(made: Made, *, explain: bool) -> Iterator[str]:
    answers = {key: shown(value) for key, value in made.answers.as_dict().items()}
    width = max(map(len, answers), default=0)
    widest = max(map(len, answers.values()), default=0)
    for key, value in answers.items():
        line = f"  {_paint(f'{key:<{width}}', dim=True)}  {value}"
        if explain:
            origin = printable(made.answers.origins[key])
            line += f"{'':<{widest - len(value)}}  {_paint(origin, dim=True)}"
        yield line


def _tree(files: Iterable[PurePosixPath], indent: str = "  ") -> Iterator[str]:
    """The files as a tree, folders first."""
    entries: dict[str, list[PurePosixPath]] = {}
    for file in files:
        entries.setdefault(file.parts[0], [])
        if len(file.parts) > 1:
            entries[file.parts[0]].append(PurePosixPath(*file.parts[1:]))
    ordered = sorted(entries.items(), key=lambda entry: (not entry[1], entry[0]))
    for index, (name, below) in enumerate(ordered):
        last = index == len(ordered) - 1
        branch = _paint("└─" if last else "├─", dim=True)
        yield f"{indent}{branch} {printable(name)}{'/' if below else ''}"
        yield from _tree(below, indent + ("   " if last else f"{_paint('│', dim=True)}  "))


def _overview(made: Made) -> Iterator[str]:
    """The parts worth a word, and what to do next."""
    parts = list(_parts(made.project))
    widest = max((len(part) for part, _ in parts), default=0)
    for index, (part, words) in enumerate(parts):
        branch = "└─" if index == len(parts) - 1 else "├─"
        yield f"  {_paint(branch, dim=True)} {part:<{widest}}  {_paint(words, dim=True)}"
    yield ""
    yield "  Checked: every dependency, locked version and import is on the allow-list."
    if made.created.repository:
        yield f"  Git: {made.created.repository}."
    for note in made.notes:
        yield f"  {_paint('Note:', fg='yellow')} {printable(note)}."
    yield ""
    yield _paint("Next", bold=True)
    longest = max((len(command) for command, _ in made.steps), default=0)
    for number, (command, gives) in enumerate(made.steps, start=1):
        line = (
            f"  {number}. {_paint(f'{command:<{longest}}', fg='cyan')}  {_paint(gives, dim=True)}"
        )
        yield line.rstrip()


def _parts(project: Project) -> Iterator[tuple[str, str]]:
    for part, words in PARTS.items():
        path = PurePosixPath(part)
        if path in project.files:
            yield part, words
        elif any(path in file.parents for file in project.files):
            yield f"{part}/", words
