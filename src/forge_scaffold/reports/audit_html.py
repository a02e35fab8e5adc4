"""An audit as one page that needs nothing else: no file, no server, no network.

Everything that comes from the project or the index is escaped; the page's policy lets only its own
style and script run, by their hashes.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from importlib.resources import files

from forge_scaffold.audit.judge import (
    BLOCKED,
    OUTSIDE,
    UPLOAD_LIMIT,
    VERDICTS,
    Audit,
    Row,
    Total,
)
from forge_scaffold.audit.plan import Move, Step
from forge_scaffold.audit.replacements import Fact
from forge_scaffold.reports.audit_text import (
    amount,
    bound,
    declared,
    fits,
    mebibytes,
    notes,
    places_text,
    size_text,
)

# What a page of ours has in it; only such a file is overwritten.
MARK = '<meta name="generator" content="forge audit">'

# How deep a tree is drawn: what comes below has been drawn further up in most trees.
DEEPEST = 12

MEANINGS = {
    "blocked": "cannot run on Workers",
    "replaced": "something there does its work",
    "outside the policy": "resolves, and is not allowed",
    "ready": "stays",
    "unknown": "could not be asked",
}


def report(audit: Audit, steps: Sequence[Step], code: Mapping[str, str]) -> str:
    """The page.

    Args:
        audit: what was found.
        steps: what to do about it.
        code: the template's files that the steps point at, path -> text.
    """
    style, script = _asset("audit.css"), _asset("audit.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    name = escape(audit.inputs.root.resolve().name)
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
{MARK}
<title>{name} on Workers: an audit</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#dependencies">Skip to the dependencies</a>
<header>
<h1>{name} on Cloudflare Workers</h1>
<p class="faint">What {escape(audit.inputs.source)} declares, checked against Python 3.14 in
Pyodide. {_files(audit.sources.files)} read; nothing was run. {_made()}</p>
<nav aria-label="Sections"><ul>{_navigation(bool(code))}</ul></nav>
</header>
<main>
<section aria-labelledby="summary-title">
<h2 id="summary-title">Summary</h2>
{_summary(audit)}
</section>
<section id="dependencies" aria-labelledby="dependencies-title">
<h2 id="dependencies-title">Dependencies</h2>
{_table(audit)}
</section>
<section id="sizes" aria-labelledby="sizes-title">
<h2 id="sizes-title">Sizes</h2>
{_sizes(audit)}
</section>
<section id="trees" aria-labelledby="trees-title">
<h2 id="trees-title">What brings what</h2>
{"".join(_tree(row) for row in audit.rows if row.tree) or "<p>Nothing resolves.</p>"}
</section>
<section id="plan" aria-labelledby="plan-title">
<h2 id="plan-title">Plan</h2>
<ol class="steps">{"".join(_step(step, code) for step in steps)}</ol>
</section>
{_code(code)}
{_notes(audit)}
</main>
<script>{script}</script>
</body>
</html>
"""


def _files(count: int) -> str:
    return "1 Python file" if count == 1 else f"{count} Python files"


def _made() -> str:
    """When the page was made, and by which version."""
    today = datetime.now(UTC).date()
    return f"Forge {escape(version('forge-workers'))}, <time>{today:%Y-%m-%d}</time>."


def _prose(text: str) -> str:
    """Text of Forge's own, with `code` in it."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _asset(name: str) -> str:
    return files("forge_scaffold.reports").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _navigation(code: bool) -> str:  # noqa: FBT001 - whether there is such a section
    sections = {
        "dependencies": "Dependencies",
        "sizes": "Sizes",
        "trees": "What brings what",
        "plan": "Plan",
    }
    if code:
        sections["code"] = "The code that replaces it"
    return "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in sections.items())


def _class(verdict: str) -> str:
    return verdict.partition(" ")[0]


def _summary(audit: Audit) -> str:
    counts = "".join(
        f'<li class="{_class(verdict)}"><strong>{audit.count(verdict)}</strong>'
        f"<span>{verdict}: {MEANINGS[verdict]}</span></li>"
        for verdict in VERDICTS
        if audit.count(verdict) or verdict == BLOCKED
    )
    widest = max(audit.before.size.raw, audit.after.size.raw, UPLOAD_LIMIT)
    totals = {"Before, on a server": audit.before, "After, on Workers": audit.after}
    bars = "".join(_total(title, total, widest) for title, total in totals.items())
    return (
        f'<ul class="counts">{counts}</ul>'
        f'<h3>Before and after</h3><p class="faint">The line is the limit of an upload, '
        f"{mebibytes(UPLOAD_LIMIT)} uncompressed: {fits(audit.after.size)}. The pale part is the "
        "size compressed.</p>"
        f'<table class="bars"><tbody>{bars}</tbody></table>'
    )


def _total(title: str, total: Total, widest: int) -> str:
    limit = 100 * UPLOAD_LIMIT / widest
    over = "blocked" if total.size.raw > UPLOAD_LIMIT else "ready"
    drawn = _bar(total.size.raw, total.size.gzip, widest, limit)
    return (
        f'<tr><th scope="row">{title}</th><td class="{over}">{drawn}</td>'
        f'<td class="amount">{_amount(amount(total))}</td></tr>'
    )


def _amount(text: str) -> str:
    """An amount whose numbers keep their units on their line."""
    return re.sub(r"(\d) (MiB|KiB|gzip)", "\\1\N{NO-BREAK SPACE}\\2", escape(text))


def _bar(raw: int, gzip: int, widest: int, limit: float | None = None) -> str:
    """A bar without words: the cell beside it says the same."""
    line = (
        f'<line x1="{limit:.2f}%" x2="{limit:.2f}%" y1="0" y2="100%"></line>'
        if limit is not None
        else ""
    )
    return (
        f'<svg aria-hidden="true"><rect height="100%" width="{100 * raw / widest:.2f}%"></rect>'
        f'<rect class="gzip" height="100%" width="{100 * gzip / widest:.2f}%"></rect>{line}</svg>'
    )


def _sizes(audit: Audit) -> str:
    rows = sorted((row for row in audit.rows if row.tree), key=lambda row: -row.size.raw)
    if not rows:
        return "<p>Nothing was measured.</p>"
    widest = max(row.size.raw for row in rows) or 1
    bars = "".join(
        f'<tr><th scope="row">{escape(row.name)}</th>'
        f'<td class="{_class(row.verdict)}">{_bar(row.size.raw, row.size.gzip, widest)}</td>'
        f'<td class="amount">{_amount(size_text(row.size))}</td></tr>'
        for row in rows
    )
    return (
        '<p class="faint">Each with everything it brings, so that shared packages count more than '
        "once; what is blocked as it would be on a server.</p>"
        f'<table class="bars"><tbody>{bars}</tbody></table>'
    )


COLUMNS = ("Package", "Verdict", "Why", "Resolves", "Brings", "Raw", "Gzip", "Imported")
NUMBERS = frozenset({"Brings", "Raw", "Gzip"})


def _table(audit: Audit) -> str:
    choices = "".join(
        f'<option value="{_class(verdict)}">{verdict} ({audit.count(verdict)})</option>'
        for verdict in VERDICTS
        if audit.count(verdict)
    )
    head = "".join(
        f'<th scope="col"{" class=number" if title in NUMBERS else ""}>{title}</th>'
        for title in COLUMNS
    )
    body = "".join(map(_row, audit.rows))
    return f"""\
<div class="filters" hidden>
<label>Search <input id="search" type="search" autocomplete="off"></label>
<label>Verdict <select id="verdict"><option value="">all</option>{choices}</select></label>
<span id="shown" class="faint" role="status"></span>
</div>
<div class="scroll"><table class="table">
<caption class="skip">Direct dependencies and their verdicts</caption>
<thead><tr>{head}</tr></thead>
<tbody>{body}</tbody>
</table></div>"""


def _row(row: Row) -> str:
    verdict = _class(row.verdict)
    version = row.version or "nothing"
    raw, gzip = (mebibytes(row.size.raw), mebibytes(row.size.gzip)) if row.size.raw else ("", "")
    places = "".join(f"<li><code>{escape(str(place))}</code></li>" for place in row.places)
    imported = (
        f'<details><summary>{places_text(row)}</summary><ul class="places">{places}</ul></details>'
        if row.places
        else "nowhere"
    )
    least = "unknown" if row.size.unknown and not row.size.raw else bound(row.size)
    return (
        f'<tr data-verdict="{verdict}">'
        f'<th scope="row" data-sort="{escape(row.name)}">{escape(row.name)}</th>'
        f'<td class="verdict {verdict}" data-sort="{VERDICTS.index(row.verdict)}">'
        f"{row.verdict}</td>"
        f'<td class="why" data-sort="{escape(row.why)}">{_why(row)}</td>'
        f'<td data-label="Resolves" data-sort="{escape(version)}">'
        f'{escape(version)}<span class="faint">{escape(declared(row))}</span></td>'
        f'<td class="number" data-label="Brings" data-sort="{row.transitive}">'
        f"{row.transitive if row.tree else ''}</td>"
        f'<td class="number" data-label="Raw" data-sort="{row.size.raw}">{least}{raw}</td>'
        f'<td class="number" data-label="Gzip" data-sort="{row.size.gzip}">{least}{gzip}</td>'
        f'<td data-label="Imported" data-sort="{len(row.places)}">{imported}</td></tr>'
    )


def _why(row: Row) -> str:
    """The reason, the ways to what blocks, what to use instead, and what to mind."""
    parts = [escape(row.why)]
    parts += [
        f'<p class="chain">{" → ".join(map(escape, chain))}</p>'
        for chain in row.chains
        if len(chain) > 1
    ]
    if row.verdict in {BLOCKED, OUTSIDE} and row.replacement and row.replacement.by:
        parts.append(f"<p>Instead: {_prose(row.replacement.by)}</p>")
    parts += [f'<p class="faint">{escape(caution)}</p>' for caution in row.cautions]
    if row.verdict in {BLOCKED, OUTSIDE}:
        parts += map(_fact, row.facts)
    return "".join(parts)


def _fact(fact: Fact) -> str:
    source = escape(fact.source)
    if fact.source.startswith("https://"):
        source = f'<a href="{source}" rel="noreferrer">{source.removeprefix("https://")}</a>'
    return f'<p class="faint">Source: {source} (<time>{fact.date:%Y-%m-%d}</time>)</p>'


def _tree(row: Row) -> str:
    stops = {chain[-1] for chain in row.chains}
    told = f", blocked by {', '.join(sorted(stops))}" if stops else ""
    return (
        f"<details><summary>{escape(row.name)} "
        f'<span class="faint">brings {row.transitive}{escape(told)}</span></summary>'
        f'<ul class="tree">{_Drawing(row).branch(row.name, 0)}</ul></details>'
    )


class _Drawing:
    """A tree of packages as nested lists; a package is drawn where it is met first."""

    def __init__(self, row: Row) -> None:
        self.packages = {package.name: package for package in row.tree}
        self.stops = {chain[-1] for chain in row.chains}
        self.on_the_way = {name for chain in row.chains for name in chain}
        self.drawn = {row.name}

    def branch(self, name: str, depth: int) -> str:
        """One package and what it needs that was not drawn before; what blocks comes first."""
        package = self.packages.get(name)
        needs = [
            needed for needed in (package.needs if package else ()) if needed not in self.drawn
        ]
        needs.sort(key=lambda needed: (needed not in self.on_the_way, needed))
        if not needs or depth >= DEEPEST:
            return f"<li>{self._label(name)}</li>"
        self.drawn.update(needs)
        below = "".join(self.branch(needed, depth + 1) for needed in needs)
        return f'<li>{self._label(name)}<ul class="tree">{below}</ul></li>'

    def _label(self, name: str) -> str:
        package = self.packages.get(name)
        label = escape(f"{name} {package.version}" if package else name)
        if package and package.from_pyodide:
            label += ' <span class="faint">built by Pyodide</span>'
        return f'<span class="stops">{label}: blocks</span>' if name in self.stops else label


def _step(step: Step, code: Mapping[str, str]) -> str:
    moves = "".join(_move(move, code) for move in step.moves)
    about = f"<p>{_prose(step.about)}</p>" if step.about else ""
    return f'<li><strong>{escape(step.title)}</strong>{about}<ul class="moves">{moves}</ul></li>'


def _move(move: Move, code: Mapping[str, str]) -> str:
    links = ", ".join(
        f'<a href="#{_anchor(path)}"><code>{escape(path)}</code></a>'
        if path in code
        else f"<code>{escape(path)}</code>"
        for path in move.code
    )
    places = ", ".join(f"<code>{escape(place)}</code>" for place in move.places)
    command = move.action.startswith("forge ")
    parts = [f"<code>{escape(move.action)}</code>" if command else _prose(move.action)]
    if move.reason:
        parts.append(f'<div class="faint">{_prose(move.reason)}</div>')
    if links:
        parts.append(f"<div>Code: {links}</div>")
    if places:
        parts.append(f"<div>Imported in {places}</div>")
    return f"<li>{''.join(parts)}</li>"


def _anchor(path: str) -> str:
    return "code-" + "".join(c if c.isalnum() else "-" for c in path)


def _code(code: Mapping[str, str]) -> str:
    if not code:
        return ""
    shown = "".join(
        f'<details id="{_anchor(path)}"><summary><code>{escape(path)}</code></summary>'
        f'<pre tabindex="0"><code>{escape(text)}</code></pre></details>'
        for path, text in code.items()
    )
    return f"""\
<section id="code" aria-labelledby="code-title">
<h2 id="code-title">The code that replaces it</h2>
<p class="faint">As <code>forge new</code> writes it into a project.</p>
{shown}
</section>"""


def _notes(audit: Audit) -> str:
    told = list(_listed(audit))
    if not told:
        return ""
    return (
        '<section aria-labelledby="notes-title"><h2 id="notes-title">Notes</h2>'
        f"<ul>{''.join(told)}</ul></section>"
    )


def _listed(audit: Audit) -> Iterator[str]:
    for note in notes(audit):
        yield f"<li>{escape(note)}</li>"
