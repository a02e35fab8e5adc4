"""Findings as people and programs read them. Nothing here decides what is a finding."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from forge_scaffold.checks.finding import Finding
    from forge_scaffold.project import Project

Report: TypeAlias = "Callable[[Sequence[Finding], Project], str]"

# What `--format` takes, each a module here.
FORMATS = ("text", "json", "sarif", "github")


def reporter(form: str) -> Report:
    """What writes a format."""
    report: Report = import_module(f"forge_scaffold.reports.{form}").report
    return report
