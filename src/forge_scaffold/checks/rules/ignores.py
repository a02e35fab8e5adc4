"""PRJ: what hides findings, and hides none."""

from collections.abc import Collection, Iterator
from typing import ClassVar

from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.ignores import SUFFIXES, Comment, comments, fits
from forge_scaffold.checks.options import Options
from forge_scaffold.checks.rule import Files, Rule, Subject
from forge_scaffold.documents import Place
from forge_scaffold.project import MANIFEST


class StaleIgnore(Rule):
    """An ignore that ignores nothing.

    A comment outlives what it was written for and then hides the next finding on its line, which
    nobody has looked at. The same goes for patterns in `[tool.forge.check]` that fit no file.

    It is reported where every rule was followed. Comments on rules that ask the index count only
    with `--index`.

    Fix: remove the comment or the pattern.
    """

    id = "PRJ002"
    since = "0.2.0"
    severity = Severity.NOTE
    failing: ClassVar[Files] = {
        "src/service.py": "import httpx\n\nSTARTED = None  # forge: ignore[RUN102]\n\n\n"
        "async def answer(env):\n    return httpx.__version__\n"
    }
    passing: ClassVar[Files] = {
        "src/service.py": "import time\n\nimport httpx\n\n"
        "STARTED = time.time()  # forge: ignore[RUN102]\n\n\n"
        "async def answer(env):\n    return httpx.__version__\n"
    }

    def unused(
        self, subject: Subject, options: Options, used: Collection[Comment]
    ) -> Iterator[Finding]:
        """Comments and patterns that have hidden nothing.

        Args:
            subject: what was checked, by every rule that the options follow.
            options: which rules those are.
            used: the comments that have hidden a finding.
        """
        yield from self._comments(subject, options, used)
        for key in ("exclude", "per-file-ignores"):
            for pattern in options.exclude if key == "exclude" else options.per_file:
                if not any(fits(pattern, path) for path in subject.project.files):
                    yield self.finding(
                        _place(subject, key), f"{key}: no file fits {pattern}; remove the pattern"
                    )

    def _comments(
        self, subject: Subject, options: Options, used: Collection[Comment]
    ) -> Iterator[Finding]:
        project = subject.project
        broken = {each.place.path for each in project.broken}
        for path in project.files:
            if path.suffix not in SUFFIXES or path in broken or options.excludes(path):
                continue
            for comment in comments(project, path).values():
                if comment not in used and _judged(comment, subject, options):
                    what = "" if comment.rules == ("",) else f"[{', '.join(comment.rules)}]"
                    yield self.finding(
                        Place(path, comment.line, comment.column),
                        f"forge: ignore{what}: nothing on this line to ignore; remove the comment",
                    )


def _judged(comment: Comment, subject: Subject, options: Options) -> bool:
    """Whether what a comment is about was looked for."""
    if any(ignored.startswith(comment.rules) for ignored in options.ignore):
        return False
    of_index = any(rule.startswith("DEP") for rule in comment.rules) and not subject.releases
    return not of_index and all(map(options.follows, comment.rules))


def _place(subject: Subject, key: str) -> Place:
    manifest = subject.project.manifest
    return manifest.place("tool", "forge", "check", key) if manifest else Place(MANIFEST)
