"""The Worker's configuration, as rules ask for it."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from forge_scaffold.project import Project
from forge_scaffold.wrangler import Environment, Wrangler

# Since then Pyodide has no OpenSSL: its ssl draws no random bytes, and its hashlib derives no keys.
_WITHOUT_OPENSSL = "3.14"


@cache
def known() -> Mapping[str, Any]:
    """What wrangler knows: its keys, their types, and what environments do not inherit."""
    data = Path(__file__).parent / "data" / "wrangler.json"
    found: Mapping[str, Any] = json.loads(data.read_text(encoding="utf-8"))
    return found


# What wrangler's schema calls the types of values.
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "string": str,
}


def fits(value: object, shape: object) -> bool:
    """Whether a value is of the kind that a key takes, as wrangler.json has it.

    Args:
        value: the value.
        shape: a table's keys, those of an array's tables in a list, types ("string|null"), or None
            for anything.
    """
    if isinstance(shape, dict):
        return isinstance(value, dict)
    if isinstance(shape, list):
        return isinstance(value, list) and all(isinstance(item, dict) for item in value)
    kinds = str(shape).split("|") if shape else []
    if isinstance(value, bool):
        return not kinds or "boolean" in kinds
    return not kinds or any(isinstance(value, _TYPES.get(kind, ())) for kind in kinds)


def python_worker(project: Project) -> Wrangler | None:
    """The configuration, when it is that of a Python Worker."""
    wrangler = project.wrangler
    python = wrangler and (wrangler.main or "python_workers" in wrangler.flags)
    return wrangler if python else None


def every(wrangler: Wrangler | None) -> tuple[Environment, ...]:
    """The top level and the environments; none without a configuration."""
    return (wrangler.top, *wrangler.environments) if wrangler else ()


def others(project: Project) -> Iterator[str]:
    """The texts of further configurations, for `wrangler --config`: wrangler.admin.toml."""
    for path in project.files:
        if re.fullmatch(r"wrangler\.[\w.-]+\.(?:json|jsonc|toml)", str(path)):
            yield project.shown(path)


def has_openssl(project: Project) -> bool | None:
    """Whether the Worker's Python has OpenSSL; None when the configuration leaves it open."""
    python = project.wrangler.python if project.wrangler else None
    return None if python is None else python < _WITHOUT_OPENSSL
