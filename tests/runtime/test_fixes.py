"""What `forge check --fix` writes into a configuration is what wrangler's own schema takes."""

import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from forge_scaffold.checks import RULES
from forge_scaffold.checks.examples import BASE, files
from tests.runtime.conftest import Make
from tests.support import write

TOP = 'name = "example"\nmain = "src/entry.py"\ncompatibility_date = "2026-11-01"\n'
SEEN = "[observability]\nenabled = true\n"
PLAIN = {name: text for name, text in BASE.items() if name != "wrangler.toml"}
FLAG = {"compatibility_flags": ["python_workers"]}


def toml(text: str) -> dict[str, str]:
    return {"wrangler.toml": text}


def jsonc(more: Mapping[str, Any]) -> dict[str, str]:
    return {"wrangler.jsonc": f"// a Worker\n{json.dumps({**tomllib.loads(TOP), **more})}\n"}


# By name: the files of a project, and how many findings are left that a fix could be for.
CASES: Mapping[str, tuple[Mapping[str, str], int]] = {
    **{rule.id: (rule.failing, 0) for rule in RULES.values() if rule.fixable},
    "json without a flag": (jsonc({"compatibility_flags": [], "observability": {}}), 0),
    "json without logs": (jsonc(FLAG), 0),
    "json, a key in an environment": (
        jsonc({**FLAG, "env": {"one": {"observabilty": {"enabled": True}}}}),
        0,
    ),
    "toml without anything": (toml(f"{TOP}compatibility_flags = []\n"), 0),
    "two names for one key": (
        toml(f"{TOP}workers_devs = true\nworkers_devx = true\n{SEEN}"),
        1,
    ),
    "a key of another type": (toml(f"{TOP}workers_devs = 'true'\n{SEEN}"), 1),
    "a table for an array": (toml(f"{TOP}{SEEN}[kv_namespace]\nbinding = 'CACHE'\n"), 1),
    "an array for a table": (toml(f"{TOP}{SEEN}[[limit]]\ncpu_ms = 50\n"), 1),
    "nested": (
        toml(
            f"{TOP}{SEEN}[[queues.consumer]]\nqueue = 'q'\n"
            "[[queues.producers]]\nqueues = 'q'\nbinding = 'Q'\n"
        ),
        0,
    ),
}


@pytest.fixture(scope="module")
def schema(make: Make) -> Mapping[str, Any]:
    path = make({}) / "node_modules" / "wrangler" / "config-schema.json"
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("case", CASES)
def test_one_call_fixes_all_and_wrangler_takes_the_result(
    schema: Mapping[str, Any], tmp_path: Path, case: str
) -> None:
    changes, left = CASES[case]
    base = PLAIN if "wrangler.jsonc" in changes else files({})
    write(tmp_path, {**base, **changes})
    check(tmp_path, "--fix")
    data = configuration(tmp_path)
    assert check(tmp_path, "--select", "WRA004").count("did you mean") == left
    if not left:
        jsonschema.validate(data, schema)
    before = data
    check(tmp_path, "--fix")
    assert configuration(tmp_path) == before


def configuration(folder: Path) -> dict[str, Any]:
    file = folder / "wrangler.jsonc"
    if file.exists():
        text = file.read_text(encoding="utf-8").partition("\n")[2]
        data: dict[str, Any] = json.loads(text)
        return data
    return tomllib.loads((folder / "wrangler.toml").read_text(encoding="utf-8"))


def check(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "forge_scaffold", "check", str(folder), *arguments]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.returncode in {0, 1}, run.stderr
    return run.stdout
