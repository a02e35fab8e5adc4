"""PRJ: the project as a whole."""

import sys
from collections.abc import Iterator
from typing import ClassVar

from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Files, Rule, Subject


class BrokenFile(Rule):
    """A file that cannot be read.

    A Worker's configuration or module that is not what its name says stops the build, or dies at
    the first import. No other rule can look into it.

    Fix: mend the file where reading stopped. Python is read as the Python that runs Forge reads
    it. When that is older than the Worker's, newer syntax cannot be judged, which is a warning: run
    Forge with the Worker's Python.
    """

    id = "PRJ001"
    since = "0.1.0"
    last = True
    failing: ClassVar[Files] = {
        "src/service.py": "import httpx\n\n\nasync def answer(env:\n    return httpx.__version__\n"
    }
    passing: ClassVar[Files] = {
        "src/service.py": "import httpx\n\n\nasync def answer(env):\n    return httpx.__version__\n"
    }

    def check(self, subject: Subject) -> Iterator[Finding]:
        """Whatever the other rules could not read."""
        project = subject.project
        # What no other rule has looked into yet.
        _ = (project.manifest, project.package, project.lock, project.uv_lock, project.pylock)
        python = project.wrangler.python if project.wrangler else None
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        for broken in project.broken:
            severity, note = self.severity, ""
            if python and broken.reason.startswith("not Python: ") and _older(here, python):
                severity = Severity.WARNING
                note = (
                    f" (as Python {here} reads it, and the Worker runs {python}: not judged; run "
                    f"Forge with that: uvx --python {python} --from forge-workers forge check)"
                )
            yield self.finding(broken.place, f"{broken.reason}{note}", severity=severity)


def _older(one: str, other: str) -> bool:
    return tuple(map(int, one.split("."))) < tuple(map(int, other.split(".")))
