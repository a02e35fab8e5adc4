"""What to do, in which order: delete, swap, decide, and make the Worker."""

from collections.abc import Iterable
from dataclasses import dataclass

from forge_scaffold.audit.judge import BLOCKED, OUTSIDE, READY, UNKNOWN, Audit, Row
from forge_scaffold.audit.replacements import AREAS, Replacement
from forge_scaffold.sources import own_template


@dataclass(frozen=True)
class Move:
    """One package's part of a step.

    Attributes:
        package: which.
        action: what to do with it.
        reason: why that is right.
        code: the template's files that do its work now, below template/.
        places: where it is imported, as `file:line`.
    """

    package: str
    action: str
    reason: str = ""
    code: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One step of the plan: a title, what it is about, and its moves."""

    title: str
    about: str
    moves: tuple[Move, ...]


def plan(audit: Audit) -> tuple[Step, ...]:
    """The steps of moving a project, in the order in which they are best taken."""
    leaving = [row for row in audit.rows if row.verdict not in {READY, UNKNOWN}]
    unused = [
        row
        for row in leaving
        if audit.sources.files and not row.places and not (row.verdict == OUTSIDE and row.at_work)
    ]
    used = [row for row in leaving if row not in unused]
    swapped = [row for row in used if row.replacement and row.replacement.policy == "replace"]
    steps = [
        _step(
            "Delete what nothing imports",
            "No Python file of the project imports these. Something else may still start them, a "
            "command line or a plug-in; a Worker runs neither.",
            [_deleted(row) for row in unused],
        ),
        _step(
            "Migrate to the versions that run",
            "The project is written for another major version. Upgrade where it runs today, with "
            "its tests, before the code moves.",
            [
                _migrated(row)
                for row in audit.rows
                if row.migration and row not in unused and row not in swapped
            ],
        ),
    ]
    for area, title in AREAS.items():
        moves = [
            _swapped(row, row.replacement)
            for row in swapped
            if row.replacement and row.replacement.area == area
        ]
        steps.append(_step(f"Swap: {title}", "", moves))
    decided = [row for row in used if row not in swapped]
    steps += [
        _step(
            "Find another way for what is blocked",
            "Nothing in the template does their work. Do without, call a service over HTTP that "
            "does it, or leave that part where it runs today.",
            [_undone(row) for row in decided if row.verdict == BLOCKED],
        ),
        _step(
            "Decide on what is outside the policy",
            "These resolve for Workers. Each one kept is uploaded, loaded at every cold start, and "
            "to be allowed under [tool.forge.allow].",
            [_undone(row) for row in decided if row.verdict == OUTSIDE],
        ),
        _step(
            "Make the Worker and move the code in",
            "Then `npm test` in it runs the tests inside workerd.",
            [Move("forge new", command(audit))],
        ),
    ]
    return tuple(step for step in steps if step.moves)


def command(audit: Audit) -> str:
    """The `forge new` that makes a Worker with what this project uses."""
    several: dict[str, list[str]] = {}
    for row in audit.rows:
        for answer in row.replacement.answers if row.replacement else ():
            key, _, value = answer.partition("=")
            if value not in several.setdefault(key, []):
                several[key].append(value)
    told = [
        f"--set {key}={','.join(values) if key == 'providers' else values[0]}"
        for key, values in sorted(several.items())
    ]
    return " ".join(["forge new my-service", *told])


def code(steps: Iterable[Step]) -> dict[str, str]:
    """The template's files that the steps point at: path in a generated project -> text."""
    named = (path for step in steps for move in step.moves for path in move.code)
    with own_template() as root:
        files = {path: root / "template" / path for path in dict.fromkeys(named)}
        return {
            path: file.read_text(encoding="utf-8") for path, file in files.items() if file.is_file()
        }


def _step(title: str, about: str, moves: list[Move]) -> Step:
    return Step(title, about, tuple(moves))


def _deleted(row: Row) -> Move:
    known = row.replacement
    by = f"if it is needed after all: {known.by}" if known and known.by else ""
    return Move(row.name, f"delete {row.name}", by, known.code if known else ())


def _migrated(row: Row) -> Move:
    places = tuple(map(str, row.places))
    return Move(row.name, f"{row.name}: {row.migration}", places=places)


def _swapped(row: Row, known: Replacement) -> Move:
    places = tuple(map(str, row.places))
    return Move(row.name, f"{row.name} -> {known.by}", known.reason, known.code, places)


def _undone(row: Row) -> Move:
    known = row.replacement
    advice = known.by if known and known.by else "keep or drop it"
    if row.verdict == BLOCKED and not (known and known.by):
        extras = ", ".join(sorted(row.dependency.extras))
        kept = known is not None and known.policy == "keep"
        advice = f"without its extra {extras}" if kept and extras else "do without"
    told = row.verdict == BLOCKED or row.dependency.local
    reason = row.why if told else (known.reason if known else "")
    return Move(
        row.name,
        f"{row.name}: {advice}",
        reason,
        known.code if known else (),
        tuple(map(str, row.places)),
    )
