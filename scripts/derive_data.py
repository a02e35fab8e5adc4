"""Derive what Forge knows of wrangler and of Pyodide from their npm packages.

    npm pack wrangler pyodide pyodide@0.28.2 pyodide@0.26.4    # and unpack each
    python scripts/derive_data.py WRANGLER_FOLDER PYODIDE_FOLDER OLDER_PYODIDE_FOLDER...

The wrangler is the one that the template pins; the Pyodide is the one whose index pywrangler asks
(`get_pyodide_index`), which may be newer than the runtime's.

Writes three files below src/forge_scaffold: names and versions, none of the packages' own text.
Node runs each Pyodide, which knows best what its standard library has.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

SOURCE = Path(__file__).resolve().parents[1] / "src" / "forge_scaffold"
WRANGLER = SOURCE / "checks" / "data" / "wrangler.json"
PYODIDE = SOURCE / "packages" / "pyodide.json"
STANDARD_LIBRARY = SOURCE / "packages" / "standard_library.json"

# Tables of tables of the same kind again: what is in them is not looked into.
OPEN = {"previews"}

# The schema says of each table that environments do not inherit it; of this one elsewhere.
NOT_INHERITED = {"durable_objects"}


Shape: TypeAlias = dict[str, Any] | list[Any] | str | None


def shape(node: dict[str, Any], definitions: dict[str, Any], depth: int = 4) -> Shape:
    """What a part of the configuration may be.

    The keys of a table, each with its shape, or, in a list, those of an array's tables. Otherwise
    its types ("string|null"), or None where anything may be there.
    """
    if reference := node.get("$ref"):
        return shape(definitions[reference.rsplit("/", 1)[1]], definitions, depth)
    if "anyOf" in node:
        return _either([shape(option, definitions, depth) for option in node["anyOf"]])
    if isinstance(items := node.get("items"), dict):
        inner = shape(items, definitions, depth)
        return [inner] if isinstance(inner, dict) else "array"
    if depth and node.get("additionalProperties") is False and "properties" in node:
        properties = node["properties"].items()
        return {name: shape(value, definitions, depth - 1) for name, value in properties}
    types = node.get("type")
    return "|".join(types) if isinstance(types, list) else types


def _either(options: list[Shape]) -> Shape:
    """One shape for several; tables whose keys are open stand for any table."""
    if None in options:
        return None
    types = {kind for option in options if isinstance(option, str) for kind in option.split("|")}
    tables = [option for option in options if isinstance(option, dict)]
    arrays = [option[0] for option in options if isinstance(option, list)]
    if types & {"array", "object"} or not (tables or arrays):
        kinds = types | ({"object"} if tables else set()) | ({"array"} if arrays else set())
        return "|".join(sorted(kinds))
    merged = {key: value for table in (*arrays, *tables) for key, value in table.items()}
    return merged if tables else [merged]


def wrangler(folder: Path) -> dict[str, Any]:
    """The keys of a wrangler configuration, and the tables that environments must repeat."""
    definitions = json.loads((folder / "config-schema.json").read_text())["definitions"]
    top = {
        name: None if name in OPEN else shape(value, definitions)
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
    """Which Python Pyodide is, and the packages that it builds, by their names as PEP 503 has them.

    Libraries and tests are left out: nobody can ask for them.
    """
    lock = json.loads((folder / "pyodide-lock.json").read_text())
    told = lock["info"]
    packages = {
        _name(package["name"]): {
            "version": package["version"],
            "compiled": not package["file_name"].endswith("-none-any.whl"),
            "needs": sorted(map(_name, package["depends"])),
            "imports": sorted(package["imports"]),
        }
        for package in lock["packages"].values()
        if package["package_type"] == "package" and not package["name"].endswith("-tests")
    }
    return {
        "pyodide": json.loads((folder / "package.json").read_text())["version"],
        "python": told["python"],
        "platform": f"pyemscripten_{told['abi_version']}_{told['arch']}",
        "packages": packages,
    }


_LIST = """\
import { pathToFileURL } from "node:url";
const { loadPyodide } = await import(pathToFileURL(process.argv[1] + "/pyodide.mjs"));
const pyodide = await loadPyodide();
console.log(pyodide.runPython(`
import json, sys
from importlib.util import find_spec
names = sorted(sys.stdlib_module_names - {"antigravity", "this"})
lacks = [name for name in names if name[0] != "_" and find_spec(name) is None]
json.dumps(["%d.%d" % sys.version_info[:2], names, lacks])`));
"""


def standard_library(folder: Path) -> tuple[str, dict[str, list[str]]]:
    """The Python of a Pyodide, the modules of its standard library, and those it lacks.

    What Pyodide keeps in packages of their own, such as sqlite3, Workers always have.
    """
    told = subprocess.run(
        ["node", "--input-type=module", "-e", _LIST, folder.resolve()],
        check=True,
        capture_output=True,
        text=True,
    )
    python, names, lacks = json.loads(told.stdout.splitlines()[-1])
    lock = json.loads((folder / "pyodide-lock.json").read_text())
    apart = {name for package in lock["packages"].values() for name in package["imports"]}
    return python, {"names": names, "lacks": [name for name in lacks if name not in apart]}


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


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
    pyodides = list(map(Path, sys.argv[2:]))
    for path, data in (
        (WRANGLER, wrangler(Path(sys.argv[1]))),
        (PYODIDE, pyodide(pyodides[0])),
        (STANDARD_LIBRARY, dict(sorted(map(standard_library, pyodides)))),
    ):
        path.write_text(_lines(data), encoding="utf-8")
