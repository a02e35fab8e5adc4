"""Conda's environment.yml: its packages as the index calls them, and the ones that pip installs."""

import re

from forge_scaffold.declarations import requirements
from forge_scaffold.declarations.dependency import Collector
from forge_scaffold.declarations.files import Source, strings, table
from forge_scaffold.errors import UserError

# What an environment is made of besides Python packages.
NOT_PYTHON = frozenset({"nodejs", "pip", "python", "setuptools", "wheel"})

_PACKAGE = re.compile(r"(?:[\w./-]+::)?(?P<name>[A-Za-z0-9][\w.-]*)\s*(?P<versions>[=<>!~]\S*|)")
_PIN = re.compile(r"(==?)([\w.]+?)(?:\.\*)?(=\S+)?")


def read(into: Collector, source: Source) -> None:
    """Every package of an environment; a build string is dropped."""
    import yaml

    try:
        listed = table(yaml.safe_load(source.text)).get("dependencies")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{source.path}: not YAML that can be read") from error
    entries = listed if isinstance(listed, list) else []
    for entry in strings(entries):
        _add(into, source, entry)
    for entry in entries:
        for line in strings(table(entry).get("pip")):
            requirements.read(into, Source(source.path, line))


def _add(into: Collector, source: Source, entry: str) -> None:
    match = _PACKAGE.fullmatch(entry.strip())
    if match is None:
        place = f"{source.name}:{source.line(entry)}"
        into.notes.append(f"{place}: not read: a package that pip has no words for")
    elif match["name"].lower() not in NOT_PYTHON:
        into.add(source, f"{match['name']}{_pep440(match['versions'])}")


def _pep440(versions: str) -> str:
    """A pin as PEP 440 writes it: one `=` without a build means a prefix, `1.26` any 1.26."""
    pin = _PIN.fullmatch(versions)
    if pin is None:
        return versions
    return f"=={pin[2]}" if pin[1] == "==" or pin[3] else f"=={pin[2]}.*"
