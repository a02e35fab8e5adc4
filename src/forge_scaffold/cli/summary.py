"""What `forge new` says when it is done: what was made, from which answers, and what to do next."""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from forge_scaffold.cli.terminal import painter
from forge_scaffold.config import Answers
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
    "tests": "one set, for CPython and for Pyodide",
    "dev/standins": "providers and a key server on your own machine",
    "wrangler.toml": "bindings, secrets by name, staging and production",
}

# npm scripts worth running first, with what they give.
SCRIPTS: Mapping[str, str] = {
    "test": "every test inside real Pyodide, and the Worker over HTTP",
    "local": "the Worker on your machine, with a first chat to paste: no account, no key",
    "deploy:staging": "when you have an account; README.md says how",
}


@dataclass(frozen=True)
class Made:
    """A project just made.

    Attributes:
        project: as it is on disk.
        answers: what it was made from.
        source: the template.
        path: the target as the user wrote it.
    """

    project: Project
    answers: Answers
    source: Source
    path: Path

    @property
    def steps(self) -> list[tuple[str, str]]:
        """What to type next, each with what it gives."""
        scripts = self.project.scripts
        steps = [] if self.path == Path() else [(f"cd {shlex.quote(str(self.path))}", "")]
        if scripts:
            steps.append(("npm install", "Node's side: Pyodide, wrangler"))
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
            "path": str(made.project.root),
            "answers": {
                name: {"value": value, "origin": made.answers.origins[name]}
                for name, value in answers.items()
            },
            "template": {
                "address": made.source.address,
                "ref": made.source.ref,
                "caveat": made.source.caveat or None,
            },
            "files": [str(path) for path in made.project.files],
            "next": [command for command, _ in made.steps],
        },
        indent=2,
    )


def as_text(made: Made) -> str:
    """The result for people."""
    return "\n".join(_lines(made))


def _lines(made: Made) -> Iterator[str]:
    paint = painter(sys.stdout)
    answers = made.answers.as_dict()
    width = max(map(len, answers), default=0)
    name = printable(str(answers.get("service_name", made.project.root.name)))
    yield f"{paint('✓', fg='green', bold=True)} {paint(name, bold=True)} is a Worker, ready to run."
    yield ""
    for key, value in answers.items():
        yield f"  {paint(f'{key:<{width}}', dim=True)}  {_shown(value)}"
    yield ""
    yield f"  {printable(str(made.path))}/"
    parts = list(_parts(made.project))
    widest = max((len(part) for part, _ in parts), default=0)
    for index, (part, words) in enumerate(parts):
        branch = "└─" if index == len(parts) - 1 else "├─"
        yield f"  {paint(branch, dim=True)} {part:<{widest}}  {paint(words, dim=True)}"
    yield ""
    yield "  Checked: every dependency, locked version and import is on the allow-list."
    if made.source.caveat:
        yield f"  {paint('Note:', fg='yellow')} {made.source.caveat}."
    yield ""
    yield paint("Next", bold=True)
    longest = max((len(command) for command, _ in made.steps), default=0)
    for number, (command, gives) in enumerate(made.steps, start=1):
        line = f"  {number}. {paint(f'{command:<{longest}}', fg='cyan')}  {paint(gives, dim=True)}"
        yield line.rstrip()


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    first, _, more = text.partition("\n")
    return printable(f"{first} ..." if more else first)


def _parts(project: Project) -> Iterator[tuple[str, str]]:
    for part, words in PARTS.items():
        path = PurePosixPath(part)
        if path in project.files:
            yield part, words
        elif any(path in file.parents for file in project.files):
            yield f"{part}/", words
