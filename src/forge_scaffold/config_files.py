"""Config files: answers by name, written in YAML, TOML or JSON and read alike in all three.

A file holds plain data, each key once. What only one of the formats can say (YAML's tags and
aliases, TOML's dates) is no answer and is refused where it stands.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from forge_scaffold.documents import DEPTH, Place, Text, Unreadable, read_jsonc, read_toml
from forge_scaffold.errors import UserError

if TYPE_CHECKING:
    import yaml

STANDARD_INPUT = Path("-")

# A file of answers is short. The bound keeps a hostile one from taking more than a moment.
MAX_BYTES = 64 * 1024

# A key for the editor: where the JSON Schema of the file is.
SCHEMA_KEY = "$schema"


class Entry(NamedTuple):
    """An answer in a file.

    Attributes:
        value: plain data.
        line: of its key.
        written: the text of a YAML value without quotes, which may mean something else than text.
    """

    value: Any
    line: int
    written: str = ""


def read(path: Path) -> dict[str, Entry]:
    """The answers in a file, or on standard input (`-`), which is read as YAML.

    Raises:
        UserError: it cannot be read, with the line and the reason.
    """
    suffix = ".yaml" if path == STANDARD_INPUT else path.suffix.lower()
    reader = READERS.get(suffix)
    if reader is None:
        raise UserError(f"--config {path}: the name must end in {', '.join(READERS)}")
    try:
        text = Text.decoded(PurePosixPath(path), _content(path))
        entries = reader(text) if text.content.strip() else {}
    except OSError as error:
        raise UserError(f"--config {path}: {error.strerror}") from error
    except Unreadable as error:
        raise UserError(f"{path}:{error.place.line}: {error.reason}") from error
    schema = entries.get(SCHEMA_KEY)
    if schema and isinstance(schema.value, str):
        del entries[SCHEMA_KEY]
    return entries


def _content(path: Path) -> bytes:
    if path == STANDARD_INPUT:
        content = sys.stdin.buffer.read(MAX_BYTES + 1)
    else:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise UserError(f"--config {path}: larger than {MAX_BYTES // 1024} KiB")
    return content


def _twice(text: Text, name: str, line: int, first: int) -> Unreadable:
    return Unreadable(Place(text.path, line), f"{name}: given twice, first in line {first}")


def _toml(text: Text) -> dict[str, Entry]:
    try:
        document = read_toml(text)
    except Unreadable as error:
        raise _toml_duplicate(text, error) from error
    return {name: Entry(value, document.place(name).line) for name, value in document.data.items()}


def _toml_duplicate(text: Text, error: Unreadable) -> Unreadable:
    """The same error, or where the key was given first when that is what is wrong."""
    key = re.compile(r"""\s*(?:([\w-]+)|"([^"]+)"|'([^']+)')\s*=""")
    lines: dict[str, int] = {}
    for number, line in enumerate(text.lines[: error.place.line], start=1):
        if match := key.match(line):
            name = match[1] or match[2] or match[3]
            if number == error.place.line and name in lines and "overwrite" in error.reason:
                return _twice(text, name, number, lines[name])
            lines.setdefault(name, number)
    return error


def _json(text: Text) -> dict[str, Entry]:
    document = read_jsonc(text, unique=True)
    return {name: Entry(value, document.place(name).line) for name, value in document.data.items()}


def value(text: str) -> object:
    """A value as it would be written in a YAML file.

    Raises:
        ValueError: it cannot be read.
    """
    try:
        source = Text(PurePosixPath("-"), text)
        node = _yaml_root(source)
        return None if node is None else _yaml_value(source, node)
    except Unreadable as error:
        raise ValueError(error.reason) from error


def _yaml_root(text: Text, *, as_copier: bool = False) -> "yaml.Node | None":
    import yaml

    try:
        root: yaml.Node | None = _loader(as_copier=as_copier)(text.content).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(text.path, mark.line + 1 if mark else 1)
        raise Unreadable(place, _yaml_problem(error)) from error
    except yaml.reader.ReaderError as error:
        reason = f"not YAML: the character {chr(error.character)!a} is not allowed"
        raise Unreadable(text.place_at(error.position), reason) from error
    return root


def yaml_answers(text: Text, *, as_copier: bool = False) -> dict[str, Entry]:
    """The answers in a YAML text, whoever wrote it: plain data, each key once.

    Args:
        text: the file.
        as_copier: take what is written without quotes as PyYAML does, with which Copier records
            answers: YAML 1.1, in which `1e3` is text.

    Raises:
        Unreadable: it holds anything else.
    """
    import yaml

    root = _yaml_root(text, as_copier=as_copier)
    if root is None or (isinstance(root, yaml.ScalarNode) and not root.value and not root.style):
        return {}
    if not isinstance(root, yaml.MappingNode):
        raise Unreadable(Place(text.path), "expected answers by name, such as  auth: none")
    return {
        name: Entry(
            _yaml_value(text, value, as_copier=as_copier),
            key.start_mark.line + 1,
            _written(value),
        )
        for name, (key, value) in _yaml_pairs(text, root).items()
    }


def _yaml_problem(error: "yaml.MarkedYAMLError") -> str:
    reason = error.problem or error.context or "it cannot be parsed"
    return f"not YAML: {reason.removeprefix('but ')}"


def _written(node: "yaml.Node") -> str:
    import yaml

    return node.value if isinstance(node, yaml.ScalarNode) and node.style is None else ""


def _yaml_pairs(
    text: Text, mapping: "yaml.MappingNode"
) -> "dict[str, tuple[yaml.Node, yaml.Node]]":
    """The members of a mapping by their keys as written: `on` is a name, though YAML says true."""
    import yaml

    pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in mapping.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise Unreadable(Place(text.path, line), "a key must be text")
        if key.value in pairs:
            first = pairs[key.value][0].start_mark.line + 1
            raise _twice(text, key.value, line, first)
        pairs[key.value] = (key, value)
    return pairs


def _yaml_value(text: Text, node: "yaml.Node", *, as_copier: bool = False) -> object:
    import yaml

    place = Place(text.path, node.start_mark.line + 1)
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if isinstance(node, yaml.MappingNode) and kind == "map":
        pairs = _yaml_pairs(text, node)
        return {
            name: _yaml_value(text, value, as_copier=as_copier)
            for name, (_, value) in pairs.items()
        }
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_yaml_value(text, item, as_copier=as_copier) for item in node.value]
    if isinstance(node, yaml.ScalarNode) and kind in (COPIER_SCALARS if as_copier else SCALARS):
        try:
            return _as_copier(node) if as_copier else SCALARS[kind](node.value)
        except (ValueError, KeyError) as error:
            raise Unreadable(place, f"{node.value[:60]!r} cannot be read as {kind}") from error
    raise Unreadable(place, f"the tag {_short_tag(node.tag)} is not allowed")


def _as_copier(node: "yaml.ScalarNode") -> object:
    import yaml

    return yaml.SafeLoader("").construct_object(node)


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")[:60]


def _boolean(text: str) -> bool:
    return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}[
        text.lower()
    ]


def _integer(text: str) -> int:
    return int(text, 0) if text.lstrip("+-")[:2] in {"0x", "0o"} else int(text)


def _float(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


SCALARS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "null": lambda _: None,
    "bool": _boolean,
    "int": _integer,
    "float": _float,
}

COPIER_SCALARS = frozenset({*SCALARS, "timestamp"})

# YAML 1.2's core schema, and the words that YAML 1.1 takes for booleans. Nothing else that is
# written without quotes changes its type: no dates, no octal 010, no 1:30 in base 60.
PLAIN = {
    "null": r"~|null|Null|NULL|",
    "bool": r"(?i:true|false|yes|no|on|off)",
    "int": r"[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+"
    r"(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
}


def _loader(*, as_copier: bool) -> "type[yaml.SafeLoader]":
    """PyYAML's parser, without aliases and with a bound on the depth."""
    import yaml

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
            event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
            mark: Any = event.start_mark
            if isinstance(event, yaml.AliasEvent):
                problem = f"the alias *{event.anchor} is not allowed; write the value out"
                raise yaml.MarkedYAMLError(None, None, problem, mark)
            self.depth += 1
            if self.depth > DEPTH:
                problem = f"nested more than {DEPTH} deep"
                raise yaml.MarkedYAMLError(None, None, problem, mark)
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    if as_copier:
        return Loader
    Loader.yaml_implicit_resolvers = {}
    for kind, pattern in PLAIN.items():
        Loader.add_implicit_resolver(
            f"tag:yaml.org,2002:{kind}", re.compile(rf"(?:{pattern})\Z"), None
        )
    return Loader


READERS: Mapping[str, Callable[[Text], dict[str, Entry]]] = {
    ".yaml": yaml_answers,
    ".yml": yaml_answers,
    ".toml": _toml,
    ".json": _json,
}
