"""How many planted faults `forge check` finds, and how often it is wrong.

    uv run python -m benchmarks.precision [--missed] [--json] [--write docs/explanation/checks.md]

Every entry of the corpus is checked twice: with its fault, and as the clean twin. Prints a Markdown
table by family: `Found` are faults with the expected error or warning in the expected line, `False`
are errors and warnings anywhere else, on both.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.precision.corpus import Entry, entries, write
from forge_scaffold import checks
from forge_scaffold.checks import Finding, Options, Project, Subject
from forge_scaffold.policy import Policy

BEGIN, END = "<!-- precision: begin -->", "<!-- precision: end -->"


@dataclass(frozen=True)
class Result:
    """What the check said about one entry.

    Attributes:
        family: As in the entry.
        title: As in the entry.
        rules: As in the entry; empty where nothing is to be found.
        found: Whether the fault was reported.
        errors: Errors that are false, as text.
        warnings: Warnings that are false, as text.
    """

    family: str
    title: str
    rules: tuple[str, ...]
    found: bool
    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def checked(files: Mapping[str, str]) -> list[Finding]:
    """The errors and warnings in a project of these files."""
    with TemporaryDirectory() as folder:
        write(Path(folder), files)
        project = Project.read(Path(folder))
        subject = Subject(project, Policy.of(project))
        findings = checks.findings(subject, Options.of(project, checks.RULES))
    return [finding for finding in findings if finding.severity.value != "note"]


def result(entry: Entry) -> Result:
    """Check an entry and its twin."""
    found = False
    false: list[Finding] = list(checked(entry.clean))
    if entry.rules:
        for finding in checked(entry.faulty):
            place = (str(finding.place.path), finding.place.line)
            found = found or entry.expects(finding.rule, *place)
            if not entry.is_place(*place):
                false.append(finding)
    return Result(
        entry.family,
        entry.title,
        entry.rules,
        found,
        tuple(dict.fromkeys(_shown(one) for one in false if one.severity.value == "error")),
        tuple(dict.fromkeys(_shown(one) for one in false if one.severity.value == "warning")),
    )


def _shown(finding: Finding) -> str:
    return f"{finding.place.path}:{finding.place.line}: {finding.rule} {finding.message}"


def table(results: Sequence[Result]) -> str:
    """Recall and false alarms by family, in Markdown."""
    lines = [
        "| Family | Faults | Found | Recall | Projects checked | False errors | False warnings |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        _row(_title(family), [one for one in results if one.family == family])
        for family in dict.fromkeys(one.family for one in results)
    ]
    return "\n".join([*lines, _row("**All**", results)])


def _title(family: str) -> str:
    return family.replace("_", " ").capitalize().replace("Javascript", "JavaScript")


def _row(title: str, results: Sequence[Result]) -> str:
    faults = [one for one in results if one.rules]
    found = sum(one.found for one in faults)
    cells = (
        title,
        len(faults),
        found,
        f"{found / len(faults):.0%}",
        len(results) + len(faults),
        sum(len(one.errors) for one in results),
        sum(len(one.warnings) for one in results),
    )
    return f"| {' | '.join(map(str, cells))} |"


def page(text: str, results: Sequence[Result]) -> str:
    """A page of the documentation, with the table between the page's marks.

    Raises:
        ValueError: The page has no marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs {BEGIN} and {END}")
    return f"{before}{begin}\n\n{table(results)}\n\n{end}{after}"


def missed(results: Sequence[Result]) -> Iterator[str]:
    """What is to be improved, a line each."""
    for one in results:
        if one.rules and not one.found:
            yield f"missed  {one.family}: {one.title} ({'|'.join(one.rules)})"
        yield from (f"false   {one.family}: {one.title}: error {text}" for text in one.errors)
        yield from (f"false   {one.family}: {one.title}: warning {text}" for text in one.warnings)


def main() -> None:
    """Check the corpus and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--missed", action="store_true", help="list misses and false alarms, too")
    parser.add_argument("--json", action="store_true", help="print every result as JSON")
    parser.add_argument("--family", help="only this family: a file name without its suffix")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write the table into PAGE")
    args = parser.parse_args()
    chosen = [one for one in entries() if args.family in {None, one.family}]
    results = []
    for number, entry in enumerate(chosen, start=1):
        results.append(result(entry))
        if sys.stderr.isatty():
            print(f"\r{number} of {len(chosen)}", end="", file=sys.stderr)
    if args.json:
        print(json.dumps([asdict(one) for one in results], indent=2))
    else:
        print(table(results))
    if args.missed:
        print("\n".join(missed(results)))
    if args.write:
        args.write.write_text(page(args.write.read_text("utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    main()
