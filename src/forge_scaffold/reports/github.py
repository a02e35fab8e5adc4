"""Findings as workflow commands, which GitHub shows beside the lines of a pull request."""

from collections.abc import Sequence

from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.printable import printable
from forge_scaffold.project import Project

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def report(findings: Sequence[Finding], project: Project) -> str:  # noqa: ARG001 - as all reports
    """One `::error` line a finding."""
    return "\n".join(map(_command, findings))


def _command(finding: Finding) -> str:
    place = finding.place
    end = f",endColumn={place.end}" if place.end else ""
    properties = (
        f"file={_property(str(place.path))},line={place.line},col={place.column}{end}"
        f",title={_property(finding.rule)}"
    )
    return f"::{LEVELS[finding.severity]} {properties}::{_data(finding.message)}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
