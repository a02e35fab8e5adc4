"""The report of a run, in Markdown."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.costs.results import Figures, Results

LABELS: Mapping[str, str] = {
    "hello": "SDK's hello",
    "pydantic": "pydantic hello",
    "minimal": "Forge, minimal",
    "default": "Forge, default",
    "full": "Forge, full",
    "fastapi": "FastAPI + httpx",
    "sqlalchemy": "FastAPI + httpx + SQLAlchemy",
    "by-hand": "SDK, by hand",
    "by-hand-all": "SDK, by hand, all duties",
    "minimal-packages": "minimal's packages alone",
    "full-packages": "full's packages alone",
}
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Goal:
    """A figure that is to stay below a limit.

    Attributes:
        title: What is measured.
        value: The figure; None where it was not measured.
        limit: The most that it may be.
        form: How a figure is written.
        beside: What it is seen beside.
    """

    title: str
    value: Callable[[Results], float | None]
    limit: float
    form: str
    beside: Callable[[Results], str]


def ratio(results: Results, figure: str, worker: str, other: str) -> float | None:
    """How many times the other Worker's figure this one's is; None where one is missing."""
    ours, theirs = _figure(results, figure, worker), _figure(results, figure, other)
    return ours / theirs if ours is not None and theirs else None


def difference(results: Results, figure: str, worker: str, other: str) -> float | None:
    """How much more this Worker's figure is than the other's; None where one is missing."""
    ours, theirs = _figure(results, figure, worker), _figure(results, figure, other)
    return ours - theirs if ours is not None and theirs is not None else None


def first_to_next(results: Results, worker: str) -> float | None:
    """How many times the chats after it the first chat of a restored Worker takes."""
    figures = results.workers.get(worker, Figures())
    first, following = figures.median("first_chat_ms"), figures.median("next_chat_ms")
    return first / following if first is not None and following else None


def growth(samples: Sequence[tuple[int, float]]) -> float | None:
    """How much memory grew between the second and the last quarter of the requests.

    Returns:
        A share of what it was; None where there are too few samples for quarters.
    """
    values = [value for _, value in samples]
    quarter = len(values) // 4
    if not quarter:
        return None
    return median(values[-quarter:]) / median(values[quarter : 2 * quarter]) - 1


def report(results: Results) -> str:
    """All of it: what was measured and on what, the goals, and every Worker's figures."""
    parts = [_heading(results), _goals(results), _workers(results), _shares(results)]
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return "\n\n".join([*filter(None, parts), f"Versions: {versions}."]) + "\n"


def page(text: str, results: Results) -> str:
    """A page of the documentation, with the report and its picture between the page's marks.

    Raises:
        ValueError: the page has no marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page needs {BEGIN} and {END}")
    shown = f"{report(results)}\n![The same as bars, and memory over the requests](costs.svg)"
    return f"{before}{begin}\n\n{shown}\n\n{end}{after}"


def _figure(results: Results, figure: str, worker: str) -> float | None:
    return results.workers.get(worker, Figures()).median(figure)


def _heading(results: Results) -> str:
    rounds = "1 round" if results.rounds == 1 else f"medians of {results.rounds} rounds in turn"
    quick = "; a quick run, whose figures mean little" if results.quick else ""
    return f"{results.day}, {results.machine}, {rounds}{quick}."


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _goals(results: Results) -> str:
    rows = []
    for goal in GOALS:
        value = goal.value(results)
        if value is not None:
            form = goal.form.format
            verdict = "met" if value <= goal.limit else "**not met**"
            beside = goal.beside(results)
            rows.append((goal.title, form(value), f"≤ {form(goal.limit)}", verdict, beside))
    return _table(("Figure", "Measured", "Goal", "", "Beside it"), rows) if rows else ""


def _workers(results: Results) -> str:
    columns: Mapping[str, Callable[[str], str]] = {
        "Cold start": lambda name: _show("{:.2f} ×", ratio(results, "cold_s", name, "fastapi")),
        "s": lambda name: _show("{:.2f}", _figure(results, "cold_s", name)),
        "Snapshot, MB": lambda name: _show("{:.1f}", _figure(results, "snapshot_bytes", name), 1e6),
        "Upload, MiB": lambda name: _show("{:.1f}", _figure(results, "upload_bytes", name), 2**20),
        "gzip": lambda name: _show("{:.1f}", _figure(results, "gzip_bytes", name), 2**20),
        "`/healthz`, ms": lambda name: _show("{:.1f}", _figure(results, "healthz_ms", name)),
        "First chat": lambda name: _show("{:.1f} ×", first_to_next(results, name)),
        "ms": lambda name: _show("{:.0f}", _figure(results, "first_chat_ms", name)),
        "next": lambda name: _show("{:.0f}", _figure(results, "next_chat_ms", name)),
        "warm": lambda name: _show("{:.0f}", _figure(results, "warm_chat_ms", name)),
    }
    return _by_worker(columns)


def _shares(results: Results) -> str:
    columns: Mapping[str, Callable[[str], str]] = {
        "Chat with an instant provider": lambda name: _show(
            "{:.2f} ×", ratio(results, "instant_chat_ms", name, "by-hand")
        ),
        "ms": lambda name: _show("{:.1f}", _figure(results, "instant_chat_ms", name)),
        "CPU, ms": lambda name: _show("{:.1f}", _figure(results, "instant_cpu_ms", name)),
        "A chunk": lambda name: _show("{:.2f} ×", ratio(results, "chunk_ms", name, "by-hand")),
        "ms a chunk": lambda name: _show("{:.2f}", _figure(results, "chunk_ms", name)),
    }
    return _by_worker(columns)


def _by_worker(columns: Mapping[str, Callable[[str], str]]) -> str:
    """A table with a row for each Worker that has one of these figures."""
    rows = [(LABELS[name], *(cell(name) for cell in columns.values())) for name in LABELS]
    told = [row for row in rows if any(row[1:])]
    return _table(("Worker", *columns), told) if told else ""


def _show(form: str, value: float | None, unit: float = 1) -> str:
    return "" if value is None else form.format(value / unit)


def _per(unit: float, figure: str, worker: str) -> Callable[[Results], float | None]:
    def value(results: Results) -> float | None:
        found = _figure(results, figure, worker)
        return None if found is None else found / unit

    return value


def _named(form: str, figure: str, *workers: str, unit: float = 1) -> Callable[[Results], str]:
    """These Workers' figures, each after its name."""

    def text(results: Results) -> str:
        def parts() -> Iterator[str]:
            for worker in workers:
                value = _figure(results, figure, worker)
                if value is not None:
                    yield f"{LABELS[worker]} {form.format(value / unit)}"

        return ", ".join(parts())

    return text


def _firsts(results: Results) -> str:
    others = {
        LABELS[name]: first_to_next(results, name)
        for name in ("full", "fastapi", "by-hand", "by-hand-all")
    }
    return ", ".join(f"{name} {value:.1f} ×" for name, value in others.items() if value is not None)


def _growths(results: Results) -> str:
    told = []
    for name, figures in results.workers.items():
        value = growth(figures.memory_mib)
        if value is None:
            continue
        failed = f" ({figures.mixed_failed} requests failed)" if figures.mixed_failed else ""
        if name != "default" or failed:
            told.append(f"{LABELS[name]} {value:+.1%}{failed}")
    return ", ".join(told)


GOALS: Sequence[Goal] = (
    Goal(
        "Cold start of the full preset, relative to FastAPI + httpx",
        lambda results: ratio(results, "cold_s", "full", "fastapi"),
        0.65,
        "{:.2f} ×",
        _named("{:.2f} s", "cold_s", "full", "fastapi", "full-packages", "hello"),
    ),
    Goal(
        "Cold start of the minimal preset, relative to the SDK's hello",
        lambda results: ratio(results, "cold_s", "minimal", "hello"),
        1.1,
        "{:.2f} ×",
        _named("{:.2f} s", "cold_s", "minimal", "hello", "minimal-packages"),
    ),
    Goal(
        "Warm `/healthz` of the default preset, relative to the SDK's hello",
        lambda results: ratio(results, "healthz_ms", "default", "hello"),
        1.3,
        "{:.2f} ×",
        _named("{:.2f} ms", "healthz_ms", "default", "hello", "fastapi", "by-hand-all"),
    ),
    Goal(
        "First `/v1/chat` of the default preset, relative to the five after it",
        lambda results: first_to_next(results, "default"),
        1.5,
        "{:.1f} ×",
        _firsts,
    ),
    Goal(
        "Snapshot of the full preset",
        _per(1e6, "snapshot_bytes", "full"),
        45,
        "{:.1f} MB",
        _named("{:.1f} MB", "snapshot_bytes", "fastapi", "sqlalchemy", "full-packages", unit=1e6),
    ),
    Goal(
        "Upload of the full preset",
        _per(2**20, "upload_bytes", "full"),
        8,
        "{:.1f} MiB",
        _named("{:.1f} MiB", "upload_bytes", "fastapi", "sqlalchemy", "full-packages", unit=2**20),
    ),
    Goal(
        "Upload of the full preset, gzip",
        _per(2**20, "gzip_bytes", "full"),
        2.2,
        "{:.1f} MiB",
        _named("{:.1f} MiB", "gzip_bytes", "fastapi", "sqlalchemy", "full-packages", unit=2**20),
    ),
    Goal(
        "Our share of a warm authenticated chat, default preset",
        lambda results: difference(results, "instant_chat_ms", "default", "by-hand"),
        3,
        "{:.1f} ms",
        _named("{:.1f} ms", "instant_chat_ms", "default", "by-hand", "by-hand-all"),
    ),
    Goal(
        "Our share of a streamed chunk, default preset",
        lambda results: difference(results, "chunk_ms", "default", "by-hand"),
        0.1,
        "{:.2f} ms",
        _named("{:.2f} ms", "chunk_ms", "default", "by-hand", "by-hand-all"),
    ),
    Goal(
        "Memory growth from the second to the last quarter of the mixed requests, default preset",
        lambda results: growth(results.workers.get("default", Figures()).memory_mib),
        0.05,
        "{:.1%}",
        _growths,
    ),
    Goal(
        "`npm test` of the default project",
        lambda results: results.tests_s[-1] if results.tests_s else None,
        60,
        "{:.0f} s",
        lambda results: f"the first run, which fills caches: {results.tests_s[0]:.0f} s",
    ),
)
