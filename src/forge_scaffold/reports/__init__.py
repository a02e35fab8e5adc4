"""Findings as people and programs read them. Nothing here decides what is a finding."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from forge_scaffold.checks.base import Finding
from forge_scaffold.project import Project
from forge_scaffold.reports import github, json, sarif, text

Report: TypeAlias = Callable[[Sequence[Finding], Project], str]

# What `--format` takes.
REPORTS: Mapping[str, Report] = {
    "text": text.report,
    "json": json.report,
    "sarif": sarif.report,
    "github": github.report,
}
