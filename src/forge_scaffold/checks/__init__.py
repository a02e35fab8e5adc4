"""The rules, and how a project is held against them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path, PurePosixPath

from forge_scaffold.checks import rules
from forge_scaffold.checks.code.walk import Walker
from forge_scaffold.checks.configuration import python_worker
from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.checks.ignores import Comment, comments
from forge_scaffold.checks.options import Options
from forge_scaffold.checks.rule import Rule, Subject
from forge_scaffold.checks.rules.ignores import StaleIgnore
from forge_scaffold.project import Project, uncollected

# In the order in which a newcomer would want them explained.
TITLES: Mapping[str, str] = {
    "PRJ": "Project",
    "DEP": "Dependencies",
    "IMP": "Imports",
    "RUN": "Runtime",
    "WRA": "Wrangler configuration",
    "SEC": "Secrets",
    "SIZ": "Size",
    "TPL": "Template",
}


def _rules() -> Iterator[type[Rule]]:
    """Every rule that the modules of checks/rules/ define: there is no list to forget one in."""
    for module in sorted(Path(rules.__path__[0]).glob("[!_]*.py")):
        import_module(f"{rules.__name__}.{module.stem}")
    for rule in Rule.__subclasses__():
        if rule.__module__.startswith(f"{rules.__name__}."):
            yield rule


def _by_id(found: Iterable[type[Rule]]) -> dict[str, Rule]:
    families = list(TITLES)
    known: dict[str, Rule] = {}
    for rule in sorted(found, key=lambda rule: (families.index(rule.id[:3]), rule.id)):
        if rule.id in known:
            raise ValueError(f"two rules are called {rule.id}")
        known[rule.id] = rule()
    return known


# One of each, to be asked about itself; every check makes its own.
RULES: Mapping[str, Rule] = _by_id(_rules())

FAMILIES: Mapping[str, tuple[str, tuple[type[Rule], ...]]] = {
    family: (title, tuple(type(rule) for rule in RULES.values() if rule.id.startswith(family)))
    for family, title in TITLES.items()
}


def findings(subject: Subject, options: Options) -> list[Finding]:
    """What the rules have to say about a project, in the order of its files and lines."""
    worker = python_worker(subject.project)
    followed = [
        type(rule)()
        for rule in RULES.values()
        if options.follows(rule.id) and (worker or not rule.needs_worker)
    ]
    with uncollected():
        counted = {each for each in _found(followed, subject) if not options.hides(each)}
        hidden, used = _commented(counted, subject.project)
        counted -= hidden
        if not options.select:
            stale = (rule for rule in followed if isinstance(rule, StaleIgnore))
            counted |= {each for rule in stale for each in rule.unused(subject, options, used)}
    return sorted(counted, key=_order)


def _commented(found: Iterable[Finding], project: Project) -> tuple[set[Finding], set[Comment]]:
    """The findings that a comment on their line hides, and those comments."""
    by_file: dict[PurePosixPath, dict[int, Comment]] = {}
    hidden, used = set(), set()
    for finding in found:
        path = finding.place.path
        if path not in by_file:
            by_file[path] = comments(project, path)
        comment = by_file[path].get(finding.place.line)
        if comment and comment.covers(finding.rule):
            hidden.add(finding)
            used.add(comment)
    return hidden, used


def failed(found: Iterable[Finding]) -> bool:
    """Whether findings make a check fail: notes do not."""
    return any(finding.severity is not Severity.NOTE for finding in found)


def _found(followed: list[Rule], subject: Subject) -> Iterator[Finding]:
    walker = Walker(rule for rule in followed if rule.looks_at_code)
    seen, facts = walker.walk(subject.project)
    complete = replace(subject, facts=facts)
    yield from (_weighed(each, complete) for each in seen)
    for rule in sorted(followed, key=lambda rule: rule.last):
        yield from rule.check(complete)


def _weighed(finding: Finding, subject: Subject) -> Finding:
    """A finding, a note where it is about how a module runs that the Worker never imports."""
    if not finding.rule.startswith("RUN") or finding.severity is Severity.NOTE:
        return finding
    idle = subject.reach.never(finding.place.path)
    return finding._replace(severity=Severity.NOTE) if idle else finding


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
