"""The rules, and how a project is held against them."""

from collections.abc import Iterable, Iterator, Mapping

from forge_scaffold.checks import (
    dependencies,
    imports,
    project,
    runtime,
    secrets,
    size,
    template,
    wrangler,
)
from forge_scaffold.checks.base import Finding, Rule, Severity, Subject
from forge_scaffold.checks.options import Options
from forge_scaffold.checks.walk import Walker
from forge_scaffold.project import Project, uncollected

# In the order in which a newcomer would want them explained.
FAMILIES: Mapping[str, tuple[str, tuple[type[Rule], ...]]] = {
    "PRJ": ("Project", project.RULES),
    "DEP": ("Dependencies", dependencies.RULES),
    "IMP": ("Imports", imports.RULES),
    "RUN": ("Runtime", runtime.RULES),
    "WRA": ("Wrangler configuration", wrangler.RULES),
    "SEC": ("Secrets", secrets.RULES),
    "SIZ": ("Size", size.RULES),
    "TPL": ("Template", template.RULES),
}

RULES: Mapping[str, Rule] = {rule.id: rule() for _, rules in FAMILIES.values() for rule in rules}


def findings(subject: Subject, options: Options) -> list[Finding]:
    """What the rules have to say about a project, in the order of its files and lines."""
    rules = [rule for name, rule in RULES.items() if options.follows(name)]
    with uncollected():
        found = {
            finding for finding in _found(rules, subject) if options.wants(finding, subject.project)
        }
    return sorted(found, key=_order)


def failed(found: Iterable[Finding]) -> bool:
    """Whether findings make a check fail: notes do not."""
    return any(finding.severity is not Severity.NOTE for finding in found)


def _found(rules: list[Rule], subject: Subject) -> Iterator[Finding]:
    yield from Walker(rule for rule in rules if rule.looks_at_code).findings(subject)
    # What cannot be read is known when everything has been.
    for rule in sorted(rules, key=lambda rule: rule.id == project.BrokenFile.id):
        yield from rule.check(subject)


def _order(finding: Finding) -> tuple[str, int, int, str, str]:
    place = finding.place
    return (str(place.path), place.line, place.column, finding.rule, finding.message)


__all__ = [
    "FAMILIES",
    "RULES",
    "Finding",
    "Options",
    "Project",
    "Rule",
    "Subject",
    "failed",
    "findings",
]
