"""What `forge fleet` prints: a line for each project, totals, JSON."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forge_scaffold import checks
from forge_scaffold.cli import projects, status, terminal
from forge_scaffold.fleet import Failure, Member, Result, UpToDate
from forge_scaffold.printable import printable
from forge_scaffold.status import Status
from forge_scaffold.update import Update

COLOURS = {
    "up to date": "green",
    "updated": "green",
    "update available": "yellow",
    "update waiting": "yellow",
    "uncommitted": "yellow",
    "findings": "yellow",
    "conflicts": "red",
    "stopped": "red",
    "refused": "red",
    "failed": "red",
    "error": "red",
}
"""Each state that a project can be in, in the order of the totals."""

_WIDTH = max(map(len, COLOURS))

_SHOWN = 5


def state(result: Result | None, *, done: bool = True) -> str:
    """What a result comes to; `done` says whether updates were written."""
    match result:
        case Failure():
            return "refused" if result.is_refusal else "failed"
        case Status():
            return _state_of_project(result)
        case Update():
            return _state_of_update(result, done=done)
        case _:
            return "up to date" if result else "stopped"


def _state_of_update(update: Update, *, done: bool) -> str:
    if update.conflicts:
        return "conflicts"
    if not update.is_clean:
        return "findings"
    if update.changes:
        return "updated" if done else "update available"
    return "up to date"


def _state_of_project(found: Status) -> str:
    if found.conflicts:
        return "conflicts"
    if found.waiting:
        return "update waiting"
    if found.uncommitted:
        return "uncommitted"
    return "update available" if found.is_outdated else "up to date"


def table(results: Mapping[Member, Result]) -> str:
    """The status of each project: path, version, newest version, state."""
    rows = [("PATH", "VERSION", "NEWEST", "STATE", "")]
    for member, result in results.items():
        if isinstance(result, Status):
            versions = result.recorded.version, result.newest or "-"
            rows.append((_name(member), *versions, state(result), _details(member, result)))
        else:
            rows.append((_name(member), "-", "-", "error", _details(member, result)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(_row(row, widths) for row in rows)


def _row(row: tuple[str, ...], widths: Sequence[int]) -> str:
    paint = terminal.painter(sys.stdout)
    cells = [f"{cell:<{width}}" for cell, width in zip(row[:-2], widths, strict=True)]
    state, details = row[-2:]
    state = paint(f"{state:<{_WIDTH}}", fg=COLOURS.get(state, ""))
    return "  ".join([*cells, state, details]).rstrip()


def line(member: Member, result: Result, width: int, *, done: bool) -> str:
    """An update in one line; `width` is that of the widest name."""
    return _row((_name(member), state(result, done=done), _details(member, result)), [width])


def width(members: Sequence[Member]) -> int:
    """How wide the widest name is."""
    return max((len(_name(member)) for member in members), default=0)


def totals(results: Mapping[Member, Result | None], *, done: bool) -> str:
    """How many projects are in each state."""
    counts = Counter(state(result, done=done) for result in results.values())
    number = len(results)
    listed = ", ".join(f"{counts[each]} {each}" for each in COLOURS if counts[each])
    return f"{number} {'project' if number == 1 else 'projects'}: {listed}"


def _name(member: Member) -> str:
    return _one_line(member.name)


def _one_line(text: str) -> str:
    return printable(text).replace("\n", "\\n")


def _details(member: Member, result: Result) -> str:
    match result:
        case Failure():
            # The project's path stands at the start of the line.
            reason = result.reason.removeprefix(f"{member.folder}: ")
            return _one_line(reason.replace(f"{member.folder}/", "").replace("\n", "; "))
        case Status():
            return ", ".join(_details_of_project(result))
        case UpToDate():
            return _one_line(result.recorded.version)
        case _:
            return ": ".join(filter(None, (_scope(result), _attention(result))))


def _details_of_project(found: Status) -> Iterator[str]:
    if found.conflicts:
        yield _listed(found.conflicts)
    elif found.uncommitted:
        yield _files(len(found.uncommitted))
    if found.changed is not None and found.removed is not None:
        yield f"{len(found.changed)} changed, {len(found.removed)} removed"


def _scope(update: Update) -> str:
    before, after = update.before.version, update.version
    versions = after if before == after else f"{before} -> {after}"
    return f"{versions}, {_files(len(update.changes))}" if update.changes else versions


def _attention(update: Update) -> str:
    conflicts = [conflict.path for conflict in update.conflicts]
    lost = [f"{one.place.path}:{one.place.line} {one.name}" for one in update.lost_names]
    found = [
        f"{one.place.path}:{one.place.line} {one.rule}"
        for one in update.findings
        # What is found between conflict markers goes with them.
        if checks.failed([one]) and str(one.place.path) not in conflicts
    ]
    return _listed([*conflicts, *lost, *found])


def _files(number: int) -> str:
    return f"{number} {'file' if number == 1 else 'files'}"


def _listed(texts: Sequence[str]) -> str:
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return _one_line(", ".join([*texts[:_SHOWN], *more]))


def statuses_as_json(results: Mapping[Member, Result]) -> str:
    """The objects of `forge status --json`, each with its project, state and error."""
    return json.dumps([_status_as_data(*each) for each in results.items()], indent=2, default=str)


def _status_as_data(member: Member, result: Result) -> dict[str, Any]:
    data = status.as_data(result) if isinstance(result, Status) else {}
    known = state(result) if isinstance(result, Status) else "error"
    return {**_head(member, known, result), **data}


def updates_as_json(results: Mapping[Member, Result | None], *, done: bool) -> str:
    """The objects of `forge update --json`, each with its project, state and error."""
    listed = [_update_as_data(*each, done=done) for each in results.items()]
    return json.dumps(listed, indent=2, default=str)


def _update_as_data(member: Member, result: Result | None, *, done: bool) -> dict[str, Any]:
    data = projects.as_data(result, done=done) if isinstance(result, Update) else {}
    return {**_head(member, state(result, done=done), result), **data}


def _head(member: Member, state: str, result: Result | None) -> dict[str, Any]:
    error = result.reason if isinstance(result, Failure) else None
    return {"project": str(member.folder), "state": state, "error": error}
