"""Findings as one JSON document."""

import json
from collections.abc import Sequence

from forge_scaffold.checks.finding import Finding
from forge_scaffold.project import Project


def report(findings: Sequence[Finding], project: Project) -> str:  # noqa: ARG001 - as all reports
    """A list of findings; lines and columns are counted from 1, `end` is null when it is open."""
    return json.dumps(
        {
            "findings": [
                {
                    "rule": finding.rule,
                    "severity": finding.severity.value,
                    "path": str(finding.place.path),
                    "line": finding.place.line,
                    "column": finding.place.column,
                    "end": finding.place.end or None,
                    "message": finding.message,
                    "fixable": finding.edit is not None,
                }
                for finding in findings
            ]
        },
        indent=2,
    )
