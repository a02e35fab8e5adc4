"""The dashboard's queries, answered by ClickHouse from rows that the Worker's own code wrote.

Analytics Engine speaks a subset of ClickHouse's SQL; that the queries keep to it is for the
project's own tests to say. What they answer is compared with plain arithmetic on the events.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from math import ceil
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.template.conftest import Make

Event: TypeAlias = dict[str, Any]
Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = list[Row]

START = 1_800_000_000
INTERVAL = 600
SPAN = 6 * INTERVAL
OUTCOMES = ("ok", "ok", "ok", "ok", "rate-limited", "client-left", "timeout", "throttled")

# Reads events from stdin, writes the points that the Worker makes of them.
WRITE = """
import json, sys
sys.path.insert(0, "src")
from service.telemetry.analytics_engine import AnalyticsEngine
from service.telemetry.events import ProviderCall
class Binding(list):
    writeDataPoint = list.append
points = Binding()
engine = AnalyticsEngine(points)
for event in json.load(sys.stdin):
    engine.record(ProviderCall(**event))
json.dump(points, sys.stdout)
"""


def event(number: int) -> Event:
    """One of many unlike each other."""
    outcome = OUTCOMES[number % len(OUTCOMES)]
    told: Event = {
        "request_id": f"r{number}",
        "provider": "",
        "model": "",
        "route": "/v1/chat" if number % 3 else "/v1/files",
        "outcome": outcome,
        "attempts": 0,
        "latency_ms": 0.0,
        "subject": f"subject-{number * number % 7}",
    }
    if outcome == "throttled":
        return told
    told |= {
        "provider": ("openai", "anthropic")[number % 2],
        "model": f"model-{number % 3}",
        "attempts": 1 + number % 4 // 3,
        "latency_ms": 100.0 + number * 37 % 1009,
        "fallback": number % 11 == 0,
        "cache_status": (None, "HIT", "MISS")[number % 3],
    }
    if number % 2:
        told["first_token_ms"] = 10.0 + number * 53 % 211
    if outcome == "ok":
        told |= {"input_tokens": number, "output_tokens": 2 * number, "reasoning_tokens": number}
        told["cached_tokens"] = None if number % 5 else number // 2
    return told


EVENTS = [event(number) for number in range(400)]
TIMES = [START + number * 7 for number in range(400)]
WEIGHTS = [1 if number % 5 else 10 for number in range(400)]
"""How many like it each row stands for, as where the engine samples."""

Told: TypeAlias = list[tuple[int, int, Event]]
TOLD: Told = list(zip(TIMES, WEIGHTS, EVENTS, strict=True))


@pytest.fixture(scope="module")
def answers(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Rows]:
    """What ClickHouse answers each panel."""
    project = make(tmp_path_factory.mktemp("dashboard") / "my-service", {})
    points = json.loads(_run([sys.executable, "-c", WRITE], EVENTS, project))
    order = {"statements": list(_table(points)), "queries": dict(_asked(project))}
    found: Mapping[str, Rows] = json.loads(_run_script("in_clickhouse.py", order, project))
    return found


def _run_script(name: str, stdin: object, folder: Path) -> str:
    """Run a script beside this one, with what it says it depends on."""
    script = [os.environ.get("UV", "uv"), "run", "--quiet", "--script"]
    return _run([*script, str(Path(__file__).with_name(name))], stdin, folder)


def _run(command: list[str], stdin: object, folder: Path) -> str:
    process = subprocess.run(
        command, input=json.dumps(stdin), cwd=folder, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def _asked(project: Path) -> Iterable[tuple[str, str]]:
    """Each panel's query as the data source's plugin sends it."""
    dashboard = json.loads((project / "dashboards" / "grafana.json").read_text())
    variables = {v["name"]: v for v in dashboard["templating"]["list"]}
    values = {
        "$dataset": variables["dataset"]["current"]["value"],
        "$from": str(START),
        "$to": str(START + SPAN),
        "$interval": str(INTERVAL),
    }
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = target["query"]
            for macro, value in values.items():
                query = query.replace(macro, value)
            yield panel["title"], query


def _table(points: list[Mapping[str, list[Any]]]) -> Iterable[str]:
    """A dataset's table, as the SQL API shows it, with the points in it."""
    blobs = [f"blob{number}" for number in range(1, 21)]
    doubles = [f"double{number}" for number in range(1, 21)]
    columns = ["timestamp DateTime('UTC')", "_sample_interval UInt32", "index1 String"]
    columns += [f"{name} String" for name in blobs] + [f"{name} Float64" for name in doubles]
    name = "my_service_production_calls"
    yield f"CREATE TABLE {name} (dataset String, {', '.join(columns)}) ENGINE = Memory"
    lines = []
    for time, weight, point in zip(TIMES, WEIGHTS, points, strict=True):
        row = {"dataset": name, "timestamp": time, "_sample_interval": weight}
        row |= zip(["index1"], point["indexes"], strict=True)
        row |= zip(blobs, point["blobs"], strict=False)
        row |= zip(doubles, point["doubles"], strict=False)
        lines.append(json.dumps(row))
    yield f"INSERT INTO {name} FORMAT JSONEachRow {' '.join(lines)}"


# Plain arithmetic: an event of weight ten is ten events.


def shown(*outcomes: str, but: Collection[str] = ()) -> Told:
    """The events in the time that is shown, with these outcomes, or with any `but` some."""
    return [
        each
        for each in TOLD
        if each[0] <= START + SPAN
        and (each[2]["outcome"] in outcomes if outcomes else each[2]["outcome"] not in but)
    ]


def summed(told: Told, name: str) -> float:
    return sum(weight * (event.get(name) or 0) for _, weight, event in told)


def number_of(told: Told) -> int:
    return sum(weight for _, weight, _ in told)


def quantiles(told: Told, name: str) -> Row:
    values = sorted(event[name] for _, weight, event in told for _ in range(weight))
    return {f"p{level}": values[ceil(len(values) * level / 100) - 1] for level in (50, 95, 99)}


def grouped(told: Told, names: Collection[str], tell: Callable[[Told], Row]) -> Rows:
    """A row for each group of events that the names are the same of; "t" is the interval."""
    groups: dict[tuple[Any, ...], Told] = {}
    for time, weight, event in told:
        values = {**event, "t": time // INTERVAL * INTERVAL * 1000}
        groups.setdefault(tuple(values[name] for name in names), []).append((time, weight, event))
    return [dict(zip(names, key, strict=True)) | tell(some) for key, some in groups.items()]


def latency(told: Told) -> Row:
    return quantiles(told, "latency_ms")


def first_token(told: Told) -> Row:
    return quantiles(told, "first_token_ms")


def calls(told: Told) -> Row:
    return {"calls": number_of(told)}


def throttled(told: Told) -> Row:
    return {"throttled": number_of(told)}


def tokens(told: Told) -> Row:
    return {"input": summed(told, "input_tokens"), "output": summed(told, "output_tokens")}


def total(told: Told) -> Row:
    return {"tokens": sum(tokens(told).values())}


def all_tokens(told: Told) -> Row:
    cached, reasoning = summed(told, "cached_tokens"), summed(told, "reasoning_tokens")
    return tokens(told) | {"cached": cached, "reasoning": reasoning}


def trouble(told: Told) -> Row:
    again = [(time, weight, {"retries": event["attempts"] - 1}) for time, weight, event in told]
    return calls(told) | {
        "retries": summed(again, "retries"),
        "fallbacks": number_of([each for each in told if each[2]["fallback"]]),
        "cached": number_of([each for each in told if each[2]["cache_status"] == "HIT"]),
    }


CALLS = shown(but=["throttled"])
FAILED = shown(but=["ok", "client-left", "throttled"])
STREAMED = [each for each in CALLS if "first_token_ms" in each[2]]
MODEL = ["provider", "model"]

EXPECTED: Mapping[str, Rows] = {
    "Calls": [calls(CALLS)],
    "Failed calls": [{"failed": number_of(FAILED) / number_of(CALLS)}],
    "Tokens": [total(CALLS)],
    "Throttled requests": [throttled(shown("throttled"))],
    "Latency": grouped(shown("ok"), ["t"], latency),
    "Time to the first token": grouped(STREAMED, ["t"], first_token),
    "Latency by model": grouped(shown("ok"), MODEL, lambda told: calls(told) | latency(told)),
    "Tokens over time": grouped(shown(), ["t"], tokens),
    "Tokens by caller": grouped(
        CALLS, ["subject"], lambda told: calls(told) | tokens(told) | total(told)
    ),
    "Tokens by model": grouped(CALLS, MODEL, all_tokens),
    "Calls by outcome": grouped(CALLS, ["t", "outcome"], calls),
    "Failures by model": grouped(FAILED, [*MODEL, "outcome"], calls),
    "Retries, fallbacks and cached answers by provider": grouped(CALLS, ["provider"], trouble),
    "Throttled requests by route": grouped(shown("throttled"), ["t", "route"], throttled),
    "Throttled callers": grouped(shown("throttled"), ["subject", "route"], throttled),
}


def test_grafana_s_own_model_knows_all_of_it(make: Make, tmp_path: Path) -> None:
    project = make(tmp_path / "my-service", {})
    dashboard = json.loads((project / "dashboards" / "grafana.json").read_text())
    known = json.loads(_run_script("in_grafana.py", dashboard, project))
    assert list(lost(dashboard, known)) == []


def lost(told: object, known: object, place: str = "") -> Iterable[str]:
    """The places of what was told and is not known as it was told; more may be known."""
    if isinstance(told, dict) and isinstance(known, dict):
        for name, value in told.items():
            yield from lost(value, known.get(name), f"{place}/{name}")
    elif isinstance(told, list) and isinstance(known, list) and len(told) == len(known):
        for number, (one, other) in enumerate(zip(told, known, strict=True)):
            yield from lost(one, other, f"{place}/{number}")
    elif told != known:
        yield place


def test_every_panel_s_answer_is_known(answers: Mapping[str, Rows]) -> None:
    assert set(answers) == set(EXPECTED)


@pytest.mark.parametrize("title", EXPECTED)
def test_clickhouse_answers_what_arithmetic_does(answers: Mapping[str, Rows], title: str) -> None:
    assert EXPECTED[title]
    assert in_order(answers[title]) == in_order(EXPECTED[title])


def in_order(rows: Rows) -> Rows:
    """Rows by their texts and time: those that a query has no order for may come in any."""
    names = ("t", "subject", "provider", "model", "outcome", "route")
    return sorted(rows, key=lambda row: [str(row.get(name)) for name in names])


@pytest.mark.parametrize("title", ["Latency by model", "Failures by model", "Throttled callers"])
def test_a_table_begins_with_the_most(answers: Mapping[str, Rows], title: str) -> None:
    (count,) = {"calls", "throttled"} & set(answers[title][0])
    numbers = [row[count] for row in answers[title]]
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) > 1


def test_a_time_series_goes_forward(answers: Mapping[str, Rows]) -> None:
    times = [row["t"] for row in answers["Latency"]]
    assert times == sorted(times)
    assert len(times) > 1
