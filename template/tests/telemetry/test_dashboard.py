"""The Grafana dashboard: it is whole, and its queries are what Analytics Engine can answer."""

import json
import re
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from service.telemetry.analytics_engine import BLOBS, DOUBLES

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "dashboards" / "grafana.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES: dict[str, str] = {
    panel["title"]: target["query"] for panel in PANELS for target in panel.get("targets", [])
}
COLUMNS = {
    **{f"blob{number}": name for number, name in enumerate(BLOBS, 1)},
    **{f"double{number}": name for number, name in enumerate(DOUBLES, 1)},
}

# https://developers.cloudflare.com/analytics/analytics-engine/sql-reference/
FUNCTIONS = {
    "avg",
    "avgIf",
    "count",
    "countIf",
    "if",
    "intDiv",
    "max",
    "min",
    "quantileExactWeighted",
    "round",
    "sum",
    "sumIf",
    "toDateTime",
    "toStartOfInterval",
    "toUInt32",
    "topKWeighted",
}

every_query = pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())


def test_every_panel_has_an_id_a_title_and_a_place_of_its_own() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


def test_every_panel_asks_the_data_source_that_is_chosen_above() -> None:
    names = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert set(names) == {"datasource", "dataset"}
    chosen = {"type": names["datasource"]["query"], "uid": "${datasource}"}
    asking = [panel for panel in PANELS if panel["type"] != "row"]
    assert asking
    for panel in asking:
        (target,) = panel["targets"]
        assert panel["datasource"] == target["datasource"] == chosen
        assert target["format"] == ("time_series" if panel["type"] == "timeseries" else "table")
        assert panel["description"]


def test_the_datasets_are_those_that_the_worker_writes() -> None:
    config = tomllib.loads((ROOT / "wrangler.toml").read_text("utf-8"))
    environments = [*config["env"].values(), config]
    written = [each["analytics_engine_datasets"][0]["dataset"] for each in environments]
    (dataset,) = (v for v in DASHBOARD["templating"]["list"] if v["name"] == "dataset")
    assert sorted(dataset["query"].split(",")) == sorted(written)
    assert dataset["current"]["value"] in written


@every_query
def test_a_query_uses_only_what_analytics_engine_has(query: str) -> None:
    names = set(re.findall(r"(\w+)\(", re.sub(r"'[^']*'", "''", query)))
    assert names - {"IN"} <= FUNCTIONS
    assert not re.search(r"\b(JOIN|UNION|WITH|OVER|CASE|COUNT\(\*\))\b", query, re.IGNORECASE)
    assert set(re.findall(r"\$\w+", query)) <= {"$dataset", "$from", "$to", "$interval"}


@every_query
def test_a_query_reads_columns_that_are_written_and_calls_them_by_their_names(query: str) -> None:
    used = set(re.findall(r"\b(?:blob|double)\d+\b", query))
    assert used <= set(COLUMNS)
    for column, alias in re.findall(r"^\s*(blob\d+) AS (\w+)", query, re.MULTILINE):
        assert COLUMNS[column] == alias


@every_query
def test_a_query_stays_in_the_time_that_is_shown_and_weighs_what_was_sampled(query: str) -> None:
    assert "timestamp >= toDateTime($from) AND timestamp <= toDateTime($to)" in query
    assert "_sample_interval" in query


@pytest.mark.parametrize("question", ["slow", "tokens", "fails", "throttled"])
def test_every_question_has_panels(question: str) -> None:
    titles = [panel["title"] for panel in PANELS if panel["type"] == "row"]
    (at,) = (number for number, title in enumerate(titles) if question in title)
    rows = [panel["gridPos"]["y"] for panel in PANELS if panel["type"] == "row"] + [1_000]
    below = [p for p in PANELS if rows[at] < p["gridPos"]["y"] < rows[at + 1]]
    assert {panel["type"] for panel in below} == {"timeseries", "table"}
