"""WRA018: a way to deploy that leaves the dependencies behind."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path, PurePosixPath
from typing import ClassVar

from forge_scaffold.checks.examples import BASE
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.documents import Text
from forge_scaffold.project import MANIFEST, Project

# From this date on the SDK is not part of the runtime.
_EXTERNAL_SDK = date(2026, 4, 21)
_BUILT_IN = "disable_python_external_sdk"

_DEPLOYS = re.compile(
    r"(?<![\w./-])wrangler(?:@[\w.^~-]+)?[ \t]+(?:deploy|versions[ \t]+upload)\b(?![^\n]*--dry-run)"
    r"|cloudflare/wrangler-action@"
)
# What vendors packages, or says that they are there.
_VENDORS = re.compile(r"pywrangler|python_modules|\bvendor")

_WORKFLOWS = PurePosixPath(".github/workflows")


class PlainDeploy(Rule):
    """A deployment that leaves the dependencies behind.

    `wrangler deploy` uploads the Worker's own modules and what lies in python_modules; it is
    pywrangler that puts the packages there. From the compatibility date 2026-04-21 on the SDK is
    one of them: without it the first import, `from workers import ...`, fails. It is an error,
    where nothing at all brings the SDK, and a warning where a script or a workflow runs wrangler
    itself.

    Fix: a pyproject.toml with the dependencies, and `uv run pywrangler deploy`; or `uv run
    pywrangler sync` before `wrangler deploy`.
    """

    id = "WRA018"
    since = "0.2.0"
    needs_worker = True
    failing: ClassVar[Files] = {
        "package.json": '{ "scripts": { "deploy": "npx wrangler deploy" } }\n',
    }
    passing: ClassVar[Files] = {
        "package.json": '{ "scripts": { "deploy": "uv run pywrangler deploy" } }\n',
        "wrangler.toml": BASE["wrangler.toml"],
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """The SDK's import, and what deploys."""
        project, worker = subject.project, subject.worker
        asked = [each for each in subject.facts.imports if each.top == "workers"]
        needed = [each for each in asked if not each.optional and not each.typing]
        external = worker.date and worker.date >= _EXTERNAL_SDK and _BUILT_IN not in worker.flags
        if not needed or not external or (project.root / "python_modules").is_dir():
            return
        deploying = list(_deploying(project))
        if any(_VENDORS.search(text.content) for text in deploying):
            return
        if not project.has(str(MANIFEST)) and not _is_inside_another(project.root):
            yield self.finding(
                needed[0].place,
                "workers: nothing brings the SDK: there is no pyproject.toml for pywrangler, and "
                "no python_modules",
            )
        for text in deploying:
            # The configuration speaks of deploying in comments only.
            match = None if text.path.stem == "wrangler" else _DEPLOYS.search(text.content)
            if match and not _is_comment(text, match.start()):
                yield self.finding(
                    text.place_at(match.start(), len(match[0])),
                    f"{match[0].rstrip('@')} uploads no packages; run pywrangler deploy, or "
                    "pywrangler sync before it",
                    severity=Severity.WARNING,
                )


def _is_comment(text: Text, offset: int) -> bool:
    line = text.content.rfind("\n", 0, offset) + 1
    return text.content[line:offset].lstrip().startswith("#")


def _is_inside_another(root: Path) -> bool:
    """Whether a folder around it, of the same repository, has a pyproject.toml."""
    for folder in root.resolve().parents:
        if (folder / MANIFEST).is_file():
            return True
        if (folder / ".git").exists():
            return False
    return False


def _deploying(project: Project) -> Iterator[Text]:
    """The files that say how the Worker is deployed."""
    names = {"Justfile", "Makefile", "justfile", "package.json", "wrangler.json", "wrangler.jsonc",
             "wrangler.toml"}  # fmt: skip
    for path in project.files:
        script = path.suffix == ".sh" or (path.suffix in {".yaml", ".yml"}
                                          and path.parent == _WORKFLOWS)  # fmt: skip
        if script or str(path) in names:
            yield Text(path, project.shown(path))
