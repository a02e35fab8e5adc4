"""Findings for a terminal: where, what, and the line with a caret under it."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from forge_scaffold.checks.finding import Finding, Severity
from forge_scaffold.printable import masked, printable
from forge_scaffold.project import Project

Paint = Callable[..., str]

COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}

# A line is shown up to here around what it is about.
WIDTH = 100


def plain(text: str, **_: object) -> str:
    """The text without colour."""
    return text


def report(findings: Sequence[Finding], project: Project, paint: Paint = plain) -> str:
    """Every finding with its line, and how many there are."""
    shown = [_finding(finding, project, paint) for finding in findings]
    return "\n".join([*shown, _total(findings)])


def _finding(finding: Finding, project: Project, paint: Paint) -> str:
    colour = COLOURS[finding.severity]
    severity = paint(finding.severity.value, fg=colour, bold=True)
    rule = paint(f"[{finding.rule}]", bold=True)
    head = f"{severity}{rule}: {printable(finding.message)}"
    return "\n".join([head, *_excerpt(finding, project, paint), ""])


def _excerpt(finding: Finding, project: Project, paint: Paint) -> Iterator[str]:
    """The line of the finding, as compilers show it."""
    place = finding.place
    number = str(place.line)
    margin = " " * len(number)
    bar = paint("|", fg="blue")
    arrow = paint("-->", fg="blue")
    yield f"{margin}{arrow} {printable(str(place.path))}:{place.line}:{place.column}"
    line = _without_secrets(project.line(place.path, place.line), finding)
    if not line.strip():
        return
    end = min(place.end or place.column + 1, len(line) + 1)
    line, start, width = _cut(line, place.column, max(end - place.column, 1))
    caret = paint("^" * width, fg=COLOURS[finding.severity], bold=True)
    yield f"{margin} {bar}"
    yield f"{paint(number, fg='blue')} {bar} {line}"
    yield f"{margin} {bar} {' ' * (start - 1)}{caret}"


def _without_secrets(line: str, finding: Finding) -> str:
    """The line as it may stand in a log: what was found to be a secret is hidden, as in URLs."""
    place = finding.place
    if finding.rule == "WRA009":
        return re.sub(r"([=:]\s*)[^\s=:].*", r"\1***", line, count=1)
    if finding.rule in {"SEC002", "SEC003"} and place.end:
        hidden = "*" * (place.end - place.column)
        line = f"{line[: place.column - 1]}{hidden}{line[place.end - 1 :]}"
    return masked(line)


def _cut(line: str, column: int, width: int) -> tuple[str, int, int]:
    """A window on a long line, with the column and width in it.

    Tabs are single spaces, what could steer a terminal is one character, too: the caret has to fit.
    """
    line = "".join(c if c.isprintable() else " " if c == "\t" else "\ufffd" for c in line)
    start = max(0, column - 1 - WIDTH // 2) if len(line) > WIDTH else 0
    window = line[start : start + WIDTH].rstrip()
    column = column - start
    return window, column, min(width, max(len(window) - column + 1, 1))


def _total(findings: Sequence[Finding]) -> str:
    if not findings:
        return "No findings."
    counts = Counter(finding.severity for finding in findings)
    parts = [
        f"{counts[severity]} {severity.value}{'s' if counts[severity] > 1 else ''}"
        for severity in Severity
        if counts[severity]
    ]
    fixable = sum(finding.edit is not None for finding in findings)
    hint = f"; --fix can fix {fixable} of them" if fixable else ""
    return f"Found {', '.join(parts)}{hint}."
