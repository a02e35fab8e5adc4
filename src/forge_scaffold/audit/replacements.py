"""What replaces what: replacements.toml, read and typed. Tests hold its claims."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

# The order of a move: what everything else stands on comes first.
AREAS: Mapping[str, str] = {
    "settings": "Settings and secrets",
    "http": "HTTP",
    "retry": "Retries",
    "identity": "Tokens and identity",
    "crypto": "Cryptography",
    "providers": "Language model providers",
    "frameworks": "Language model frameworks",
    "database": "Databases",
    "vectors": "Vectors and numbers",
    "queues": "Queues and schedules",
    "telemetry": "Telemetry and logs",
    "web": "Web frameworks and servers",
    "models": "Models run in the process",
}

# What a package may need that a Worker does not have.
LACKING: Mapping[str, str] = {
    "sockets": "it opens sockets, and a Worker has none",
    "threads": "it starts threads, and a Worker has none",
    "processes": "it starts processes, and a Worker has none",
    "a server": "it is a server, and a Worker has no port to listen on",
}


@dataclass(frozen=True)
class Replacement:
    """What is known of one package.

    Attributes:
        package: as PEP 503 normalises it.
        area: one of AREAS.
        policy: "keep" (on the allow-list), "replace" (something of the template's or the
            platform's does its work) or "decide" (nothing does; the project has to).
        by: what does its work; empty with "keep".
        reason: why.
        code: the template's files that do it, below template/.
        uses: the packages that that needs.
        answers: what to tell `forge new`, as KEY=VALUE.
        lacks: what it needs and a Worker has not, of LACKING: it resolves and still cannot work.
        blocked_by: the packages without a wheel there, itself or of its tree, where there are.
        modules: what it is imported as, when that is not its name.
    """

    package: str
    area: str
    policy: str
    by: str = ""
    reason: str = ""
    code: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    blocked_by: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


@cache
def replacements() -> Mapping[str, Replacement]:
    """Every package that is known, by name."""
    text = files("forge_scaffold.audit").joinpath("replacements.toml").read_text(encoding="utf-8")
    found: dict[str, Replacement] = {}
    for area, packages in tomllib.loads(text).items():
        for name, entry in packages.items():
            values: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in entry.items()
            }
            found[name] = Replacement(package=name, area=area, **values)
    return found
