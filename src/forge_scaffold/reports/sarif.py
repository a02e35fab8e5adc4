"""Findings as SARIF 2.1.0, which code scanning services read."""

import json
from collections.abc import Sequence

from forge_scaffold.checks import RULES
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.rule import Rule
from forge_scaffold.project import Project

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def report(findings: Sequence[Finding], project: Project) -> str:  # noqa: ARG001 - as all reports
    """One run, with the rules that found something."""
    from importlib.metadata import version

    used = sorted({finding.rule for finding in findings})
    return json.dumps(
        {
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "forge check",
                            "semanticVersion": version("forge-workers"),
                            "rules": [_rule(RULES[name]) for name in used],
                        }
                    },
                    "columnKind": "unicodeCodePoints",
                    "results": [_result(finding, used.index(finding.rule)) for finding in findings],
                }
            ],
        },
        indent=2,
    )


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.reason},
        "help": {"text": rule.fix},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
    }


def _result(finding: Finding, index: int) -> dict[str, object]:
    from urllib.parse import quote

    place = finding.place
    region = {"startLine": place.line, "startColumn": place.column}
    if place.end > place.column:
        region["endColumn"] = place.end
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(str(place.path)), "uriBaseId": "%SRCROOT%"},
                    "region": region,
                }
            }
        ],
    }
