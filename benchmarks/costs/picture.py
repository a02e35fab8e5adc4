"""The picture of a run."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.costs.report import LABELS, ratio
from benchmarks.costs.results import Results
from benchmarks.costs.workers import OURS

OURS_COLOUR, OTHERS_COLOUR = "#f6821f", "#8a939b"


def picture(results: Results, file: Path) -> None:
    """Draw the ratios of cold starts and first chats, what a deploy sends, and memory."""
    panels = [*_panels(results)]
    with mpl.rc_context(
        {
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "costs",  # the same figures make the same file
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        drawing = Figure(figsize=(10, 1 + 2.9 * len(panels)), layout="constrained")
        axes = drawing.subplots(len(panels), 1, squeeze=False)[:, 0] if panels else ()
        for draw, panel in zip(panels, axes, strict=True):
            draw(panel)
        drawing.suptitle(f"{results.day}, {results.machine}", fontsize=9)
        drawing.savefig(file, format="svg", metadata={"Date": None})


def _panels(results: Results) -> Iterator[Callable[[Axes], None]]:
    """The panels that there are figures for."""
    cold = {name: ratio(results, "cold_s", name, "fastapi") for name in LABELS}
    first = {name: ratio(results, "first_chat_ms", name, "fastapi") for name in LABELS}
    size = {name: _mebibytes(results, name) for name in LABELS}
    for title, values in (
        ("Cold start with a snapshot, × FastAPI + httpx", cold),
        ("First chat after a restore, × FastAPI + httpx", first),
        ("Upload, gzip, MiB", size),
    ):
        known = {name: value for name, value in values.items() if value is not None}
        if known:
            yield partial(_bars, title, known)
    if any(figures.memory_mib for figures in results.workers.values()):
        yield partial(_memory, results)


def _mebibytes(results: Results, name: str) -> float | None:
    figures = results.workers.get(name)
    return figures.gzip_bytes / 2**20 if figures and figures.gzip_bytes else None


def _bars(title: str, values: Mapping[str, float], panel: Axes) -> None:
    names = [*values]
    colours = [OURS_COLOUR if name in OURS else OTHERS_COLOUR for name in names]
    bars = panel.barh([LABELS[name] for name in names], [*values.values()], color=colours)
    panel.bar_label(bars, fmt="%.2f", padding=3)
    panel.invert_yaxis()
    panel.set_title(title, loc="left", fontweight="bold")


def _memory(results: Results, panel: Axes) -> None:
    for name, figures in results.workers.items():
        if figures.memory_mib:
            requests, mebibytes = zip(*figures.memory_mib, strict=True)
            panel.plot(requests, mebibytes, label=LABELS[name])
    panel.set_ylim(bottom=0)
    panel.set_xlabel("mixed requests")
    panel.set_title("Resident memory of workerd, MiB", loc="left", fontweight="bold")
    panel.legend(frameon=False, loc="lower right")
