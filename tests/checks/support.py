"""Checking a project that is written for one test."""

from collections.abc import Mapping
from pathlib import Path

from forge_scaffold import checks
from forge_scaffold.checks import Finding, Options, Project, Subject
from forge_scaffold.policy import Policy
from tests.support import write


def checked(folder: Path, files: Mapping[str, str], *select: str) -> list[Finding]:
    """What the rules find in a project of these files."""
    write(folder, files)
    project = Project.read(folder)
    options = Options.of(project, checks.RULES, select)
    return checks.findings(Subject(project, Policy.of(project)), options)


def told(folder: Path, files: Mapping[str, str], *select: str) -> list[str]:
    """The same, a line each."""
    return [
        f"{finding.place.path}:{finding.place.line}: {finding.rule} {finding.message}"
        for finding in checked(folder, files, *select)
    ]
