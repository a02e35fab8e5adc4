"""Edits of a configuration that are tried before they are offered."""

from collections.abc import Mapping
from typing import Any

from forge_scaffold.checks.finding import Edit
from forge_scaffold.documents import Address, Document, Text, Unreadable, read_jsonc, read_toml


def tried(edit: Edit, document: Document, expected: Mapping[str, Any]) -> Edit | None:
    """An edit, if it makes a document say what is expected, and nothing else."""
    text = document.text
    after = text.content[: edit.start] + edit.text + text.content[edit.end :]
    reader = read_toml if text.path.suffix == ".toml" else read_jsonc
    try:
        return edit if reader(Text(text.path, after)).data == expected else None
    except Unreadable:
        return None


def renamed(data: Any, address: Address, key: str, name: str) -> Any:  # noqa: ANN401 - any JSON
    """Data with a key of the table at an address renamed."""
    if not address:
        return {name if each == key else each: value for each, value in data.items()}
    step, rest = address[0], address[1:]
    inner = renamed(data[step], rest, key, name)
    if isinstance(data, list):
        return [inner if index == step else item for index, item in enumerate(data)]
    return {**data, step: inner}
