"""TPL: what the template made, and what became of it."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from shlex import quote
from typing import ClassVar

from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.git import last_commit
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.documents import Place, Text
from forge_scaffold.git import work_tree
from forge_scaffold.project import Project

ANSWERS = PurePosixPath(".copier-answers.yml")

# What the template says of the files that are its own, as `sha256sum --check` reads it.
SUMS = PurePosixPath("scripts/SHA256SUMS")

_BINARY = frozenset({".bin", ".gif", ".ico", ".jpg", ".jpeg", ".pdf", ".png", ".ttf", ".wasm",
                     ".webp", ".woff", ".woff2", ".zip"})  # fmt: skip

# What hosts and tools look for only at a repository's root.
_ROOT_ONLY = re.compile(
    r"(?:^|/)(\.github|\.gitlab-ci\.ya?ml|\.pre-commit-config\.yaml|(?:docs/)?CODEOWNERS"
    r"|renovate\.json5?|\.renovaterc(?:\.json5?)?)(?:/|$)"
)

# The ends of a conflict, as git and copier mark them.
_OURS = re.compile(r"^<{7} ", re.MULTILINE)
_THEIRS = re.compile(r"^={7}\r?$.*^>{7} ", re.MULTILINE | re.DOTALL)

_SUM = re.compile(r"^([0-9a-f]{64}) [ *](\S+)\r?$", re.MULTILINE)


class Conflict(Rule):
    """Conflict markers in a file.

    An update, or a merge, left both sides for a person to choose from. Python, TOML and JSON do not
    parse like that; in a text nobody notices.

    Fix: choose, and delete the markers.
    """

    id = "TPL001"
    since = "0.1.0"
    failing: ClassVar[Files] = {
        "README.md": "<<<<<<< before updating\nA Worker.\n=======\nAnother Worker.\n"
        ">>>>>>> after updating\n"
    }
    passing: ClassVar[Files] = {"README.md": "Another Worker.\n=======\n"}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Both ends of a conflict, in any text."""
        project = subject.project
        for path in project.files:
            if path.suffix.lower() in _BINARY:
                continue
            text = project.shown(path)
            start = _OURS.search(text) if "<<<<<<< " in text else None
            if start and _THEIRS.search(text, start.end()):
                yield self.finding(
                    Text(path, text).place_at(start.start(), 7),
                    "both sides of a conflict are there; choose, and delete the markers",
                )


class Rejected(Rule):
    """A change that an update could not make.

    Copier writes what it could not apply into a `.rej` file beside the one it was for. Until
    somebody looks at it, the project is neither the old template nor the new.

    Fix: make the change by hand where it belongs, and delete the file.
    """

    id = "TPL002"
    since = "0.1.0"
    failing: ClassVar[Files] = {"src/service.py.rej": "@@ -1,1 +1,1 @@\n-old\n+new\n"}
    passing: ClassVar[Files] = {}

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Files of rejected changes."""
        for path in subject.project.files:
            if path.suffix == ".rej":
                target = path.with_suffix("")
                yield self.finding(
                    Place(path), f"not applied to {target}; make the change there, and delete this"
                )


class EditedAnswers(Rule):
    """Answers that were edited by hand.

    `.copier-answers.yml` says which template, which version and which answers made the project: an
    update starts from there. Changed by hand, it describes a project that never was, and the update
    makes the wrong differences.

    Fix: put it back (`git checkout .copier-answers.yml`), and change answers with `copier update`.
    """

    id = "TPL003"
    since = "0.1.0"
    severity = Severity.WARNING
    failing: ClassVar[Files] = {
        ".copier-answers.yml": "_src_path: https://example.org/forge.git\n_commit: v1.0.0\n"
        "auth: clerk\ndatabase: none\nproviders:\n- openai\n"
        "service_name: example\n",
        "src/service/app.py": "",
    }
    passing: ClassVar[Files] = {
        ".copier-answers.yml": "_src_path: https://example.org/forge.git\n_commit: v1.0.0\n"
        "auth: none\ndatabase: none\nproviders: []\nservice_name: example\n",
        "src/service/app.py": "",
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The answers against the files that they stand for."""
        project = subject.project
        if not project.has(str(ANSWERS)):
            return
        text = Text(ANSWERS, project.shown(ANSWERS))
        answers = dict(_flat(text))
        if "_src_path" not in answers:
            yield self.finding(
                Place(ANSWERS), "no _src_path: without it, no update finds the template"
            )
        # Another template's answers stand for other files.
        ours = {"auth", "database", "providers"} <= answers.keys()
        if ours and project.has("src/service/app.py"):
            yield from self._held(project, answers, text)

    def _held(self, project: Project, answers: Mapping[str, str], text: Text) -> Iterator[Finding]:
        for question, folder in (("auth", "auth"), ("database", "database")):
            path = f"src/service/{folder}/__init__.py"
            if (answers[question] != "none") != project.has(path):
                state = "there" if project.has(path) else "missing"
                yield self.finding(
                    text.place_of(f"{question}:"),
                    f"{question}: {answers[question]}, and src/service/{folder} is {state}; change "
                    "answers with copier update",
                )
        for provider in re.findall(r"^\s*- (\w+)\s*$", answers["providers"], re.MULTILINE):
            if not project.has(f"src/service/providers/{provider}.py"):
                yield self.finding(
                    text.place_of(f"- {provider}"),
                    f"providers: {provider}, and src/service/providers/{provider}.py is missing; "
                    "change answers with copier update",
                )


def _flat(text: Text) -> Iterator[tuple[str, str]]:
    """The keys of a flat YAML file, each with its text, the lines of a list included."""
    for match in re.finditer(
        r"^([A-Za-z_]\w*):[ \t]*(.*(?:\n(?:[ \t]+|- ).*)*)", text.content, re.MULTILINE
    ):
        yield match[1], match[2].strip().strip("'\"")


class Drifted(Rule):
    """A file of the template's that is not as the template made it.

    The scripts that vendor, test and serve a Worker, the stand-ins for the services it calls and
    the migrations it began with are the template's own: `scripts/SHA256SUMS` says what they are.
    Changed here, each update has to merge them, and a migration that was applied is not applied
    again.

    Fix: take the change to the template, add a migration of your own, or live with the merge: a
    note makes no check fail.
    """

    id = "TPL004"
    since = "0.1.0"
    severity = Severity.NOTE
    failing: ClassVar[Files] = {
        "scripts/test.mjs": 'console.log("changed");\n',
        "scripts/SHA256SUMS": f"{'0' * 64}  scripts/test.mjs\n",
    }
    passing: ClassVar[Files] = {
        "scripts/test.mjs": 'console.log("made");\n',
        "scripts/SHA256SUMS": "24eb161ecf4e2551b3d7c4f132708cdb63f10655604364ad639c98059023b5a1"
        "  scripts/test.mjs\n",
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Each file of the list against its sum; ends of lines do not count."""
        project = subject.project
        if not project.has(str(SUMS)):
            return
        from hashlib import sha256

        for match in _SUM.finditer(project.shown(SUMS)):
            path = PurePosixPath(match[2])
            content = project.shown(path).replace("\r\n", "\n").encode()
            if project.has(match[2]) and sha256(content).hexdigest() != match[1]:
                yield self.finding(Place(path), f"{path}: the template's own, and changed here")


def root_only(path: PurePosixPath) -> tuple[str, str]:
    """The folder and the name of what counts only at a root; empty for a path without that."""
    text = str(path)
    match = _ROOT_ONLY.search(text)
    return (text[: match.start(1)].rstrip("/"), match[1]) if match else ("", "")


class BelowTheTop(Rule):
    """A CI or hook configuration below the repository's root.

    GitHub reads `.github` only at the root of a repository, and pre-commit, Renovate and code
    owners are configured there, too. In a Worker that is a folder of a larger repository, the
    workflow never runs, and nothing says so.

    Fix: move a workflow to the root's `.github/workflows`, with `defaults: run:
    working-directory:` and the Worker's folder, and merge the other files into those at the root.
    """

    id = "TPL005"
    since = "0.1.0"
    severity = Severity.NOTE
    failing: ClassVar[Files] = {
        ".git/HEAD": "ref: refs/heads/main\n",
        "packages/.github/workflows/ci.yml": "on: push\n",
    }
    passing: ClassVar[Files] = {
        ".git/HEAD": "ref: refs/heads/main\n",
        ".github/workflows/ci.yml": "on: push\n",
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The first file of each such configuration, where git's top is another folder."""
        project = subject.project
        top = work_tree(project.root)
        if top is None:
            return
        prefix = PurePosixPath(os.path.relpath(os.path.realpath(project.root), top))
        seen: set[tuple[str, str]] = set()
        for path in project.files:
            folder, name = part = root_only(prefix / path)
            if folder and part not in seen:
                seen.add(part)
                advice = (
                    f"move the workflows to the root's .github, with `defaults: run: "
                    f"working-directory: {folder}`"
                    if name == ".github"
                    else "merge it into the one at the root"
                )
                yield self.finding(
                    Place(path),
                    f"{folder}/{name} is never read: {name} counts only at the repository's root; "
                    f"{advice}",
                )


class ChangedByUpdate(Rule):
    """An answer that changed together with the template's version.

    When a template no longer has a choice, an update replaces the answer with the default and asks
    nobody: a provider goes, another comes, and secrets have other names. `.copier-answers.yml` is
    compared with the last commit; when `_commit` differs, other answers should not.

    Fix: keep the old value (`forge set KEY=VALUE`), or, where the change was meant, commit it.
    """

    id = "TPL006"
    since = "0.1.0"
    severity = Severity.WARNING
    committed: ClassVar[Files] = {
        ".copier-answers.yml": "_commit: v1.0.0\n_src_path: https://example.org/forge.git\n"
        "providers:\n- openai\n- mistral\n",
    }
    failing: ClassVar[Files] = {
        ".copier-answers.yml": "_commit: v2.0.0\n_src_path: https://example.org/forge.git\n"
        "providers:\n- openai\n- anthropic\n",
    }
    passing: ClassVar[Files] = {
        ".copier-answers.yml": "_commit: v2.0.0\n_src_path: https://example.org/forge.git\n"
        "providers:\n- openai\n- mistral\n",
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The answers in the work tree against those of the last commit."""
        project = subject.project
        if not project.has(str(ANSWERS)):
            return
        committed = last_commit(project.root, ANSWERS)
        if committed is None:
            return
        text = Text(ANSWERS, project.shown(ANSWERS))
        before, now = dict(_flat(Text(ANSWERS, committed))), dict(_flat(text))
        if before.get("_commit", "") == now.get("_commit", ""):
            return
        for key in sorted(before.keys() & now.keys()):
            old, new = _listed(before[key]), _listed(now[key])
            if old != new and not key.startswith("_"):
                keep = _short(quote(f"{key}={old.replace(', ', ',')}"))
                yield self.finding(
                    text.place_of(f"{key}:"),
                    f"review: the answer to {key} changed with the template's version, from "
                    f"{_short(old)} to {_short(new)}; to keep the old one: forge set {keep}",
                )


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]} ..."


def _listed(text: str) -> str:
    """A value of a flat YAML file on one line: a list as `a, b`, in either way to write one."""
    items = re.findall(r"^\s*- (.*?)\s*$", text, re.MULTILINE)
    flow = re.fullmatch(r"\[(.*)\]", text, re.DOTALL)
    parts = items or (flow[1].split(",") if flow else [" ".join(text.split())])
    return ", ".join(part.strip().strip("'\"") for part in parts)
