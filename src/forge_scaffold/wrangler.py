"""What a wrangler configuration says: its environments, their bindings, variables and secrets."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

from forge_scaffold.documents import Address, Document, Place

# Where bindings are declared, and which key names them. `*` stands for each item of an array.
BINDINGS: Mapping[tuple[str, ...], str] = {
    ("agent_memory", "*"): "binding",
    ("ai",): "binding",
    ("ai_search", "*"): "binding",
    ("ai_search_namespaces", "*"): "binding",
    ("analytics_engine_datasets", "*"): "binding",
    ("artifacts", "*"): "binding",
    ("assets",): "binding",
    ("browser",): "binding",
    ("d1_databases", "*"): "binding",
    ("dispatch_namespaces", "*"): "binding",
    ("durable_objects", "bindings", "*"): "name",
    ("flagship", "*"): "binding",
    ("hyperdrive", "*"): "binding",
    ("images",): "binding",
    ("k2", "*"): "binding",
    ("kv_namespaces", "*"): "binding",
    ("media",): "binding",
    ("mtls_certificates", "*"): "binding",
    ("pipelines", "*"): "binding",
    ("queues", "producers", "*"): "binding",
    ("r2_buckets", "*"): "binding",
    ("ratelimits", "*"): "name",
    ("secrets_store_secrets", "*"): "binding",
    ("send_email", "*"): "name",
    ("services", "*"): "binding",
    ("stream",): "binding",
    ("unsafe", "bindings", "*"): "name",
    ("unsafe_hello_world", "*"): "binding",
    ("vectorize", "*"): "binding",
    ("version_metadata",): "binding",
    ("vpc_networks", "*"): "binding",
    ("vpc_services", "*"): "binding",
    ("worker_loaders", "*"): "binding",
    ("workflows", "*"): "binding",
}

# The Pythons of Workers: from this compatibility date on, unless a flag says so before.
PYTHONS: tuple[tuple[date, str, str], ...] = (
    (date(2026, 9, 8), "3.14", "python_workers_314"),
    (date(2025, 9, 29), "3.13", "python_workers_20250116"),
)
FIRST_PYTHON = "3.12"

# From this date on the entry class is `Default`, and functions such as on_fetch are not called.
ENTRY_CLASS = date(2025, 8, 14)


class Named(NamedTuple):
    """Something that the Worker's code finds in its environment.

    Attributes:
        name: as in `self.env.NAME`.
        kind: the table that declares it: "kv_namespaces", "vars", "secrets".
        place: where.
    """

    name: str
    kind: str
    place: Place


@dataclass(frozen=True)
class Environment:
    """The top level of the configuration, or one of its `env` tables.

    Attributes:
        name: empty for the top level.
        address: of its table in the document.
        data: what it says itself.
        document: the configuration.
    """

    name: str
    address: Address
    data: Mapping[str, Any]
    document: Document

    def place(self, *address: str | int) -> Place:
        """Where one of its keys stands."""
        return self.document.place(*self.address, *address)

    @property
    def title(self) -> str:
        """How a message calls it."""
        return f"[env.{self.name}]" if self.name else "the top level"

    @cached_property
    def bindings(self) -> tuple[Named, ...]:
        """What it binds, in the order of BINDINGS."""
        return tuple(
            Named(item[key], address[0], self.place(*found, key))
            for address, key in BINDINGS.items()
            for found, item in _at(self.data, address)
            if isinstance(item.get(key), str)
        )

    @cached_property
    def variables(self) -> tuple[Named, ...]:
        """The keys of its `vars`."""
        values = self.data.get("vars")
        names = values if isinstance(values, dict) else {}
        return tuple(Named(name, "vars", self.place("vars", name)) for name in names)

    @cached_property
    def secrets(self) -> tuple[Named, ...]:
        """The secrets that it requires by name."""
        table = self.data.get("secrets")
        required = table.get("required") if isinstance(table, dict) else None
        names = required if isinstance(required, list) else []
        address = (*self.address, "secrets", "required")
        return tuple(
            Named(name, "secrets", self.document.place_of_item(*address, index))
            for index, name in enumerate(names)
            if isinstance(name, str)
        )

    @property
    def named(self) -> Iterator[Named]:
        """Whatever the code finds in its environment."""
        yield from (*self.bindings, *self.variables, *self.secrets)


def _at(data: object, address: tuple[str, ...]) -> Iterator[tuple[Address, Mapping[str, Any]]]:
    """The tables that an address with `*` leads to, each with its own address."""
    pending: list[tuple[Address, object, tuple[str, ...]]] = [((), data, address)]
    while pending:
        found, value, rest = pending.pop(0)
        if not rest:
            if isinstance(value, dict):
                yield found, value
        elif rest[0] == "*":
            items = value if isinstance(value, list) else []
            pending += [((*found, index), item, rest[1:]) for index, item in enumerate(items)]
        elif isinstance(value, dict) and rest[0] in value:
            pending.append(((*found, rest[0]), value[rest[0]], rest[1:]))


@dataclass(frozen=True)
class Wrangler:
    """A wrangler configuration.

    Attributes:
        document: the file.
    """

    document: Document

    @property
    def data(self) -> Mapping[str, Any]:
        """What it says."""
        return self.document.data

    def place(self, *address: str | int) -> Place:
        """Where a key stands."""
        return self.document.place(*address)

    @cached_property
    def top(self) -> Environment:
        """The top level."""
        return Environment("", (), self.data, self.document)

    @cached_property
    def environments(self) -> tuple[Environment, ...]:
        """The tables under `env`."""
        tables = self.data.get("env")
        named = tables.items() if isinstance(tables, dict) else ()
        return tuple(
            Environment(name, ("env", name), data, self.document)
            for name, data in named
            if isinstance(data, dict)
        )

    @cached_property
    def main(self) -> str | None:
        """The main module's path, if it is Python."""
        main = self.data.get("main")
        return main if isinstance(main, str) and main.endswith(".py") else None

    @cached_property
    def flags(self) -> frozenset[str]:
        """The compatibility flags of the top level."""
        flags = self.data.get("compatibility_flags")
        listed = flags if isinstance(flags, list) else []
        return frozenset(flag for flag in listed if isinstance(flag, str))

    @cached_property
    def date(self) -> date | None:
        """The compatibility date; None when it is missing or none."""
        return date_of(self.data.get("compatibility_date"))

    @cached_property
    def calls_functions(self) -> bool | None:
        """Whether the runtime looks for functions such as on_fetch; None when that is open."""
        if "disable_python_no_global_handlers" in self.flags:
            return True
        if "python_no_global_handlers" in self.flags:
            return False
        return self.date < ENTRY_CLASS if self.date else None

    @cached_property
    def python(self) -> str | None:
        """The Python that flags and date mean; None when they mean none for sure."""
        return self.python_in(self.top)

    def python_in(self, environment: Environment) -> str | None:
        """The same of an environment, which inherits either, or has its own."""
        day = date_of({**self.data, **environment.data}.get("compatibility_date"))
        said = environment.data.get("compatibility_flags")
        flags = said if isinstance(said, list) else self.flags
        if day is None:
            return None
        for since, version, flag in PYTHONS:
            if flag in flags or (day >= since and f"no_{flag}" not in flags):
                return version
        return FIRST_PYTHON


def date_of(value: object) -> date | None:
    """A compatibility date as a date; None when it is none."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None
