"""An audit as Markdown, for an issue, a pull request or a page of documentation."""

import re
from collections.abc import Iterator, Sequence

from forge_scaffold.audit.judge import UPLOAD_LIMIT, Audit, Row
from forge_scaffold.audit.plan import Step
from forge_scaffold.reports.audit_text import (
    amount,
    fits,
    headline,
    mebibytes,
    notes,
    places_text,
    size_text,
)


def report(audit: Audit, steps: Sequence[Step]) -> str:
    """A table of verdicts, the totals and the plan."""
    return "\n".join(_lines(audit, steps))


def _lines(audit: Audit, steps: Sequence[Step]) -> Iterator[str]:
    yield f"# {text(headline(audit))}"
    yield ""
    yield "| Package | Verdict | Why | Resolves | Brings | Size | Imported |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    yield from map(_row, audit.rows)
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    yield f"| Before, on a server | {amount(audit.before)} |"
    yield f"| After, on Workers | {amount(audit.after)} |"
    limit = f"{mebibytes(UPLOAD_LIMIT)} uncompressed: {fits(audit.after.size)}"
    yield f"| Limit of an upload | {limit} |"
    yield ""
    yield "## Plan"
    for number, step in enumerate(steps, start=1):
        yield ""
        yield f"{number}. **{step.title}.** {text(step.about)}".rstrip()
        for move in step.moves:
            code = ", ".join(f"`{path}`" for path in move.code)
            yield f"   - {text(move.action)}{f': {code}' if code else ''}"
    if told := [f"- {text(note)}" for note in notes(audit)]:
        yield ""
        yield "## Notes"
        yield ""
        yield from told


def _row(row: Row) -> str:
    chains = "; ".join(" → ".join(chain) for chain in row.chains if len(chain) > 1)
    cells = [
        row.name,
        row.verdict,
        f"{row.why} ({chains})" if chains else row.why,
        row.version or "-",
        str(row.transitive) if row.tree else "-",
        size_text(row.size) if row.tree else "-",
        places_text(row),
    ]
    return f"| {' | '.join(map(text, cells))} |"


def text(value: str) -> str:
    """What a project says, as text: no markup, no table cell of its own."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(value.split()))
