"""No table of wrangler's schema, empty or with a key that is unknown, breaks a rule."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forge_scaffold.checks.configuration import known
from forge_scaffold.checks.examples import files
from tests.checks.support import told

BASE = {
    "name": "example",
    "main": "src/entry.py",
    "compatibility_date": "2026-11-01",
    "compatibility_flags": ["python_workers"],
    "observability": {"enabled": True},
}
VALUES: tuple[object, ...] = ({}, [{}], {"forge": 1}, "text")


def addresses(keys: dict[str, Any], around: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, shape in keys.items():
        yield (*around, key)
        inside = shape[0] if isinstance(shape, list) else shape
        if isinstance(inside, dict):
            yield from addresses(inside, (*around, key))


def put(address: tuple[str, ...], value: object) -> dict[str, Any]:
    for key in reversed(address):
        value = {key: value}
    assert isinstance(value, dict)
    return {**BASE, **value}


@pytest.mark.parametrize("top", sorted(known()["keys"]))
def test_every_table_of_the_schema(tmp_path: Path, top: str) -> None:
    project = {name: text for name, text in files({}).items() if name != "wrangler.toml"}
    inside = addresses({top: known()["keys"][top]})
    for address in inside:
        for value in VALUES:
            for data in (put(address, value), {**BASE, "env": {"one": put(address, value)}}):
                told(tmp_path, {**project, "wrangler.jsonc": json.dumps(data)}, "WRA,SIZ")


def test_a_key_that_wrangler_does_not_know_is_one_finding(tmp_path: Path) -> None:
    said = '\n[python_modules]\nexcludes = ["**/*.pyc"]\n'
    project = files({"wrangler.toml": files({})["wrangler.toml"] + said})
    (only,) = told(tmp_path, project)
    assert "WRA004 excludes: wrangler knows no such key in python_modules; did you mean" in only
