"""An audit for a terminal."""

import textwrap
import time
from collections.abc import Callable, Iterator, Sequence

from forge_scaffold.audit.judge import (
    BLOCKED,
    OUTSIDE,
    READY,
    REPLACED,
    UNKNOWN,
    UPLOAD_LIMIT,
    VERDICTS,
    Audit,
    Row,
    Size,
    Total,
)
from forge_scaffold.audit.plan import Step
from forge_scaffold.printable import printable
from forge_scaffold.reports.text import plain

COLOURS = {BLOCKED: "red", REPLACED: "cyan", OUTSIDE: "yellow", READY: "green", UNKNOWN: "magenta"}

WIDTH = 100

# As many places of an import are named; the rest is counted.
PLACES = 3


def report(audit: Audit, steps: Sequence[Step], paint: Callable[..., str] = plain) -> str:
    """Verdicts, totals and the plan."""
    return "\n".join(_lines(audit, steps, lambda text, **style: paint(printable(text), **style)))


def _lines(audit: Audit, steps: Sequence[Step], paint: Callable[..., str]) -> Iterator[str]:
    yield paint(headline(audit), bold=True)
    yield ""
    for verdict in VERDICTS:
        rows = [row for row in audit.rows if row.verdict == verdict]
        if rows:
            yield paint(f"{verdict} ({len(rows)})", fg=COLOURS[verdict], bold=True)
            for row in rows:
                yield from _row(row, paint)
            yield ""
    yield paint("size", bold=True)
    for title, total in (("before, on a server", audit.before), ("after, on Workers", audit.after)):
        yield f"  {title:<20} {amount(total)}"
    limit = f"{mebibytes(UPLOAD_LIMIT)} uncompressed: {fits(audit.after.size)}"
    yield f"  {'limit of an upload':<20} {limit}"
    yield ""
    yield paint("plan", bold=True)
    for number, step in enumerate(steps, start=1):
        yield f"  {number}. {paint(step.title, bold=True)}"
        for move in step.moves:
            yield from _wrapped(f"{move.action}", 5)
            for path in move.code:
                yield f"       {paint(path, dim=True)}"
    for note in notes(audit):
        yield ""
        yield from _wrapped(f"Note: {note}", 0)


def _row(row: Row, paint: Callable[..., str]) -> Iterator[str]:
    facts = [
        (row.version or row.newest or row.dependency.declared) + declared(row),
        f"+{row.transitive} packages" if row.tree else "",
        f"{size_text(row.size)}" if row.tree else "",
    ]
    yield f"  {paint(f'{row.name:<22}', bold=True)} {printable('  '.join(filter(None, facts)))}"
    if row.chains:
        for chain in row.chains:
            yield f"      {printable(' -> '.join(chain))}"
    yield from _wrapped(row.why, 6)
    if row.verdict == BLOCKED and row.replacement and row.replacement.by:
        yield from _wrapped(f"instead: {row.replacement.by}", 6)
    elif row.verdict == OUTSIDE and row.replacement and row.replacement.by:
        yield from _wrapped(f"decide: {row.replacement.by}", 6)
    if row.verdict in {BLOCKED, OUTSIDE}:
        for fact in row.facts:
            yield from _wrapped(f"source: {fact.source} ({fact.date:%Y-%m-%d})", 6)
    for caution in row.cautions:
        yield from _wrapped(f"mind: {caution}", 6)
    if row.places:
        shown = ", ".join(map(str, row.places[:PLACES]))
        more = f" and {len(row.places) - PLACES} more" if len(row.places) > PLACES else ""
        yield f"      {paint(f'imported in {shown}{more}', dim=True)}"


def declared(row: Row) -> str:
    """The version that the project is held to, where another one runs."""
    held = row.dependency.held
    return f" (declared {held})" if held and row.version not in {"", held} else ""


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        printable(text),
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_on_hyphens=False,
    )


def headline(audit: Audit) -> str:
    """What was audited, and how it stands, in one line."""
    name = audit.inputs.root.resolve().name
    counts = ", ".join(
        f"{audit.count(verdict)} {verdict}" for verdict in VERDICTS if audit.count(verdict)
    )
    many = "dependency" if len(audit.rows) == 1 else "dependencies"
    return f"{name}/{audit.inputs.source}: {len(audit.rows)} direct {many}: {counts or 'none'}"


def amount(total: Total) -> str:
    """How much a total is, in words."""
    return f"{len(total.direct)} direct, {len(total.tree)} in all, {size_text(total.size)}"


def size_text(size: Size) -> str:
    """Raw and compressed bytes; what could not be measured makes them a lower bound."""
    if size.unknown and not size.raw:
        return "size unknown"
    return f"{bound(size)}{mebibytes(size.raw)} ({mebibytes(size.gzip)} gzip)"


def bound(size: Size) -> str:
    """How exact a size is, as the words before it."""
    return "at least " if size.unknown else "about " if size.estimated else ""


def fits(size: Size) -> str:
    """Whether it can be uploaded, as the end of a sentence."""
    words = {True: "it fits", False: "it does not fit", None: "the rest decides whether it fits"}
    return f"{'by this estimate ' if size.estimated else ''}{words[size.fits]}"


def places_text(row: Row) -> str:
    """How often a package is imported."""
    return "1 place" if len(row.places) == 1 else f"{len(row.places)} places"


def mebibytes(count: int) -> str:
    """Bytes in MiB, or in KiB where that says more."""
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.0f} KiB"


def notes(audit: Audit) -> Iterator[str]:
    """What is to know about how the audit was made."""
    if audit.offline:
        day = time.strftime("%Y-%m-%d", time.gmtime(audit.oldest))
        since = f" the oldest of {day}" if audit.oldest else " none"
        yield f"offline: no index was asked; answers kept from earlier were used,{since}."
    for group, count in audit.inputs.left_out.items():
        kind, _, name = group.partition(" ")
        yield f"{group} was left out ({count}): --{kind} {name} takes it in."
    for title, total in (("before", audit.before), ("after", audit.after)):
        if total.failure:
            yield (
                f"{title}: the packages do not resolve in one environment, so each one's own are "
                f"added up ({total.failure})."
            )
        if total.size.unknown:
            names = ", ".join(total.size.unknown)
            yield f"{title}: without {names}, whose size is not known."
        if total.size.estimated:
            names = ", ".join(total.size.estimated)
            yield (
                f"{title}: {names}: built by Pyodide; the size is estimated from the release's "
                "wheel for Linux, without shared libraries and tests."
            )
    if audit.sources.unread:
        count = len(audit.sources.unread)
        yield f"{count} files are no Python that can be read: {audit.sources.unread[0]} ..."
    yield from audit.inputs.notes
