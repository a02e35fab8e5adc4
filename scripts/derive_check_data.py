"""Derive what `forge check` knows of wrangler and of Pyodide from their npm packages.

    npm pack wrangler pyodide    # and unpack both
    python scripts/derive_check_data.py WRANGLER_FOLDER PYODIDE_FOLDER

Writes src/forge_scaffold/checks/data/*.json: names only, none of the packages' own text.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[1] / "src" / "forge_scaffold" / "checks" / "data"

# Tables of tables of the same kind again: what is in them is not looked into.
OPEN = {"previews"}

# The schema says of each table that environments do not inherit it; of this one elsewhere.
NOT_INHERITED = {"durable_objects"}


def keys(
    node: dict[str, Any], definitions: dict[str, Any], depth: int = 4
) -> dict[str, Any] | None:
    """The keys that a part of the configuration may have, with theirs; None for any keys at all."""
    if reference := node.get("$ref"):
        return keys(definitions[reference.rsplit("/", 1)[1]], definitions, depth)
    if node.get("type") == "array":
        items = node.get("items", {})
        return keys(items, definitions, depth) if isinstance(items, dict) else None
    if "anyOf" in node:
        options = [
            keys(option, definitions, depth) for option in node["anyOf"] if _is_table(option)
        ]
        known = [option for option in options if option is not None]
        if not options or len(known) < len(options):
            return None
        return {key: value for option in known for key, value in option.items()}
    if depth == 0 or node.get("additionalProperties") is not False or "properties" not in node:
        return None
    return {name: keys(value, definitions, depth - 1) for name, value in node["properties"].items()}


def _is_table(option: dict[str, Any]) -> bool:
    return "$ref" in option or option.get("type") in {"object", "array"} or "anyOf" in option


def wrangler(folder: Path) -> dict[str, Any]:
    """The keys of a wrangler configuration, and the tables that environments must repeat."""
    definitions = json.loads((folder / "config-schema.json").read_text())["definitions"]
    top = {
        name: None if name in OPEN else keys(value, definitions)
        for name, value in definitions["RawConfig"]["properties"].items()
    }
    environment = definitions["RawEnvironment"]["properties"]
    repeated = {
        name
        for name, value in environment.items()
        if "not automatically inherited" in value.get("description", "")
    }
    return {
        "version": json.loads((folder / "package.json").read_text())["version"],
        "keys": top,
        "top_level_only": sorted(top.keys() - environment.keys()),
        "not_inherited": sorted(repeated | NOT_INHERITED),
    }


def pyodide(folder: Path) -> dict[str, Any]:
    """The packages that Pyodide builds, under their normalised names, and its version."""
    lock = json.loads((folder / "pyodide-lock.json").read_text())
    names = {
        re.sub(r"[-_.]+", "-", package["name"]).lower() for package in lock["packages"].values()
    }
    return {
        "version": json.loads((folder / "package.json").read_text())["version"],
        "packages": sorted(name for name in names if not name.endswith("-tests")),
    }


def _lines(data: dict[str, Any]) -> str:
    """JSON with a line for each of the outer keys, and for each of theirs when those are tables."""
    parts = []
    for key, value in data.items():
        inner = json.dumps(value, sort_keys=True)
        if isinstance(value, dict):
            rows = (f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in sorted(value.items()))
            inner = "{\n" + ",\n".join(rows) + "\n }"
        parts.append(f" {json.dumps(key)}: {inner}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    for name, data in (
        ("wrangler", wrangler(Path(sys.argv[1]))),
        ("pyodide", pyodide(Path(sys.argv[2]))),
    ):
        (DATA / f"{name}.json").write_text(_lines(data), encoding="utf-8")
