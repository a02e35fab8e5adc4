"""What replaces what, and why: replacements.toml and facts.toml, typed. Tests hold their claims."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
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

# What the index says is asked anew by each audit, so reports do not repeat these facts.
ASKED = frozenset({"index", "no-wheel"})


@dataclass(frozen=True)
class Fact:
    """Something that is true of the platform, or of a package on it.

    Attributes:
        name: as replacements.toml refers to it.
        says: the fact; a sentence about the package.
        date: when it was true.
        source: where to read it, or how it was tried.
    """

    name: str
    says: str
    date: date
    source: str

    def __str__(self) -> str:
        return f"{self.says} ({self.date:%Y-%m-%d}, {self.source})"


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
        lacks: the facts for which it cannot work though it resolves.
        facts: what else the judgement rests on.
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
    facts: tuple[str, ...] = ()
    blocked_by: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    @property
    def evidence(self) -> tuple[Fact, ...]:
        """The facts, what it lacks first, without those that the audit itself asks for."""
        names = dict.fromkeys((*self.lacks, *self.facts))
        return tuple(facts()[name] for name in names if name not in ASKED)


@cache
def facts() -> Mapping[str, Fact]:
    """Every fact, by name."""
    return {name: Fact(name, **entry) for name, entry in _data("facts.toml").items()}


@cache
def replacements() -> Mapping[str, Replacement]:
    """Every package that is known, by name."""
    found: dict[str, Replacement] = {}
    for area, packages in _data("replacements.toml").items():
        for name, entry in packages.items():
            values: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in entry.items()
            }
            found[name] = Replacement(package=name, area=area, **values)
    return found


def _data(name: str) -> dict[str, Any]:
    text = files("forge_scaffold.audit").joinpath(name).read_text(encoding="utf-8")
    return tomllib.loads(text)
