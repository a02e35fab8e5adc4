"""TOML and JSON with comments as data that remembers where each value stands.

Whatever the bytes, reading ends in data or in one `Unreadable` with a line and a column.
"""

import codecs
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, NamedTuple, TypeAlias

# From a document's root: the keys of tables, the indexes of arrays.
Address: TypeAlias = tuple[str | int, ...]

DEPTH = 100

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Place(NamedTuple):
    """Where something stands in a file; lines and columns are counted from 1, in characters.

    Attributes:
        path: relative to the project.
        line: 1 for a file as a whole.
        column: of the first character.
        end: the column after the last character; 0 when only the start is known.
    """

    path: PurePosixPath
    line: int = 1
    column: int = 1
    end: int = 0


class Unreadable(Exception):  # noqa: N818 - it is a fact about a file, said as one
    """A file that is not what its name says.

    Attributes:
        place: where reading stopped.
        reason: why.
    """

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(f"{place.path}:{place.line}: {reason}")
        self.place = place
        self.reason = reason


@dataclass(frozen=True)
class Text:
    """A text file of the project.

    Attributes:
        path: relative to the project.
        content: the whole of it, without a byte order mark.
    """

    path: PurePosixPath
    content: str

    @classmethod
    def decoded(cls, path: PurePosixPath, content: bytes) -> "Text":
        """A file's bytes as UTF-8, with or without a byte order mark.

        A requirements file may be UTF-16 with a mark: so PowerShell writes one, and pip reads it.

        Raises:
            Unreadable: they are not that.
        """
        try:
            if path.suffix in {".in", ".txt"} and content.startswith(_UTF16):
                return cls(path, content.decode("utf-16"))
            return cls(path, content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            before = content[: error.start]
            line = before.count(b"\n") + 1
            reason = f"not UTF-8 text (byte 0x{content[error.start]:02x})"
            raise Unreadable(Place(path, line), reason) from error

    @cached_property
    def lines(self) -> list[str]:
        """Its lines, without their ends."""
        return self.content.split("\n")

    def line_of(self, fragment: str) -> int:
        """The first line with `fragment`, counted from 1; 1 when it is nowhere."""
        return self.content.count("\n", 0, max(self.content.find(fragment), 0)) + 1

    def place_of(self, fragment: str, after: int = 1) -> Place:
        """Where `fragment` first stands from line `after` on; that line's start if nowhere."""
        for number, line in enumerate(self.lines[after - 1 :], start=after):
            if (column := line.find(fragment)) >= 0:
                return Place(self.path, number, column + 1, column + 1 + len(fragment))
        return Place(self.path, min(after, len(self.lines)))

    def place_at(self, offset: int, length: int = 0) -> Place:
        """The place of a character by its offset."""
        line = self.content.count("\n", 0, offset) + 1
        column = offset - self.content.rfind("\n", 0, offset)
        return Place(self.path, line, column, column + length if length else 0)

    def offset(self, line: int, column: int) -> int:
        """The offset of the character at a place."""
        return sum(len(each) + 1 for each in self.lines[: line - 1]) + column - 1

    def at(self, place: Place) -> str:
        """What stands at a place whose end is known; otherwise nothing."""
        line = self.lines[place.line - 1] if place.line <= len(self.lines) else ""
        return line[place.column - 1 : place.end - 1] if place.end else ""

    def logical_lines(self) -> Iterator[tuple[int, str]]:
        """The lines of a requirements file, continuations joined, comments and blanks left out."""
        pending, start = "", 1
        for number, line in enumerate(self.content.splitlines(), start=1):
            if not pending:
                start = number
            pending += re.sub(r"(^|\s)#.*", "", line).strip()
            if pending.endswith("\\"):
                pending = pending[:-1]
            elif pending:
                yield start, pending
                pending = ""
        if pending:
            yield start, pending


@dataclass(frozen=True)
class Document:
    """A parsed TOML or JSON file.

    Attributes:
        text: the file.
        data: what it says.
    """

    text: Text
    data: Mapping[str, Any]
    _places: dict[Address, Place] = field(repr=False)

    def place(self, *address: str | int) -> Place:
        """Where a value's key stands; that of the nearest table around it when it is not there."""
        for length in range(len(address), 0, -1):
            if place := self._places.get(address[:length]):
                return place
        return Place(self.text.path)

    def place_of_item(self, *address: str | int) -> Place:
        """Where an item of an array of strings stands: its first mention from the key on.

        That of the nearest table around it when it is not there.
        """
        known = self._places.get(address)
        if known:
            return known
        value: Any = self.data
        for step in address:
            try:
                value = value[step]
            except (LookupError, TypeError):
                return self.place(*address)
        return self.text.place_of(str(value), self.place(*address).line)


def read_toml(text: Text) -> Document:
    """A TOML document.

    Raises:
        Unreadable: it is none.
    """
    if deep := _DEEP_KEY.search(text.content):  # tomllib's time grows with the square of the depth
        raise Unreadable(text.place_at(deep.start()), f"nested more than {DEPTH} deep")
    try:
        data = tomllib.loads(text.content)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        place = Place(text.path, int(at[1]), int(at[2])) if at else Place(text.path)
        reason = re.sub(r" \(at (line .*|end of document)\)", "", str(error))
        if at is None:
            place = Place(text.path, len(text.content.splitlines()) or 1)
        raise Unreadable(place, f"not TOML: {reason}") from error
    except RecursionError as error:
        deep = _DEEP_VALUE.search(text.content)
        place = text.place_at(deep.start()) if deep else Place(text.path)
        raise Unreadable(place, "nested too deep") from error
    except ValueError as error:
        long = _LONG_NUMBER.search(text.content)
        place = text.place_at(long.start()) if long else Place(text.path)
        raise Unreadable(place, "not TOML: a number with too many digits") from error
    if _depth(data) > DEPTH:
        raise Unreadable(Place(text.path), f"nested more than {DEPTH} deep")
    return Document(text, data, _toml_places(text))


def _depth(data: object) -> int:
    """How deep tables and arrays nest, counted without recursion."""
    deepest, pending = 0, [(data, 1)]
    while pending:
        value, depth = pending.pop()
        deepest = max(deepest, depth)
        if depth > DEPTH:
            return depth
        if isinstance(value, dict):
            pending += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            pending += [(inner, depth + 1) for inner in value]
    return deepest


_DEEP_KEY = re.compile(
    r"""(?m)(?:^|[\[{,])[ \t]*(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*)"""
    rf"{{{DEPTH}}}"
)
_DEEP_VALUE = re.compile(rf"""(?:[\[{{]\s*(?:[\w.'"-]+\s*=\s*)?){{{DEPTH}}}""")
_LONG_NUMBER = re.compile(r"\d[\d_]{4000}")
_HEADER = re.compile(r"""\s*\[(\[)?\s*((?:[^\]"'#]|"[^"]*"|'[^']*')+?)\s*\]\]?\s*(?:#.*)?""")
_KEY = re.compile(
    r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=\s*"""
)
_PART = re.compile(r""""([^"]*)"|'([^']*)'|([\w-]+)""")
_INLINE_KEY = re.compile(r"""[{,]\s*([\w-]+|"[^"]*"|'[^']*')\s*=""")
_OPENING = re.compile(r'"""|\'\'\'|"(?:\\.|[^"\\])*"|\'[^\']*\'|#.*|[\[\]{}]')


def _toml_places(text: Text) -> dict[Address, Place]:
    """Where the keys of a valid TOML text stand: table headers, `key =`, inline tables' keys."""
    places: dict[Address, Place] = {}
    arrays: dict[Address, int] = {}
    table: Address = ()
    number = 0
    lines = text.lines
    while number < len(lines):
        line = lines[number]
        number += 1
        if header := _HEADER.fullmatch(line.rstrip("\r")):
            table = _table(_parts(header[2]), header[1] is not None, arrays)
            place = Place(text.path, number, header.start(2) + 1, header.end(2) + 1)
            for length in range(1, len(table) + 1):
                places.setdefault(table[:length], place)
        elif key := _KEY.match(line):
            place = Place(text.path, number, key.start(1) + 1, key.end(1) + 1)
            address = (*table, *_parts(key[1]))
            for length in range(len(table) + 1, len(address) + 1):
                places.setdefault(address[:length], place)
            for inner in _INLINE_KEY.finditer(line, key.end()):
                spot = Place(text.path, number, inner.start(1) + 1, inner.end(1) + 1)
                places.setdefault((*address, *_parts(inner[1])), spot)
            number = _value_end(lines, number, key.end())
    return places


def _parts(dotted: str) -> Address:
    return tuple(match[1] or match[2] or match[3] or "" for match in _PART.finditer(dotted))


def _table(name: Address, array: bool, arrays: dict[Address, int]) -> Address:  # noqa: FBT001
    """The address of a table, with the index of the arrays of tables on its way.

    Args:
        name: the header's parts.
        array: whether it is the header of an array's next table.
        arrays: how many tables each array has; counted on.
    """
    address: Address = ()
    for position, part in enumerate(name):
        address = (*address, part)
        if position == len(name) - 1 and array:
            arrays[address] = arrays.get(address, 0) + 1
        if address in arrays:
            address = (*address, arrays[address] - 1)
    return address


def _value_end(lines: list[str], number: int, start: int) -> int:
    """The index of the line after a value that begins on line `number`, at column `start`."""
    depth, quote, index, column = 0, "", number - 1, start
    while index < len(lines):
        line = lines[index]
        while True:
            if quote:
                end = line.find(quote, column)
                if end < 0:
                    break
                quote, column = "", end + 3
            found = _OPENING.search(line, column)
            if found is None or found[0].startswith("#"):
                break
            column = found.end()
            if found[0] in {'"""', "'''"}:
                quote = found[0]
            else:
                depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        index, column = index + 1, 0
        if depth <= 0 and not quote:
            break
    return index


_SPACE = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
_SCALARS = {"true": True, "false": False, "null": None}


def read_jsonc(text: Text, *, unique: bool = False) -> Document:
    """A JSON document as wrangler reads it: with comments and trailing commas.

    Args:
        text: the file.
        unique: refuse a key that is given twice; otherwise the last one counts, as in JavaScript.

    Raises:
        Unreadable: it is none, or no object.
    """
    return _Jsonc(text, unique=unique).document()


class _Jsonc:
    def __init__(self, text: Text, *, unique: bool) -> None:
        self.text = text
        self.unique = unique
        self.places: dict[Address, Place] = {}

    def document(self) -> Document:
        data, end = self.value(self.skip(0), ())
        end = self.skip(end)
        if end != len(self.text.content):
            raise self.wrong(end, "something after the end")
        if not isinstance(data, dict):
            raise self.wrong(0, "not an object")
        return Document(self.text, data, self.places)

    def wrong(self, offset: int, what: str) -> Unreadable:
        return Unreadable(self.text.place_at(offset), f"not JSON: {what}")

    def skip(self, offset: int) -> int:
        match = _SPACE.match(self.text.content, offset)
        return match.end() if match else offset

    def value(self, offset: int, address: Address) -> tuple[Any, int]:
        if len(address) > DEPTH:
            raise self.wrong(offset, f"nested more than {DEPTH} deep")
        content = self.text.content
        if content.startswith("{", offset):
            return self.members(offset + 1, address)
        if content.startswith("[", offset):
            return self.items(offset + 1, address)
        if content.startswith('"', offset):
            return self.string(offset)
        if scalar := _SCALAR.match(content, offset):
            return self.scalar(scalar[0], offset), scalar.end()
        raise self.wrong(offset, "a value is missing")

    def scalar(self, text: str, offset: int) -> object:
        if text in _SCALARS:
            return _SCALARS[text]
        try:
            return json.loads(text)
        except ValueError as error:
            raise self.wrong(offset, "a number with too many digits") from error

    def string(self, offset: int) -> tuple[str, int]:
        match = _STRING.match(self.text.content, offset)
        if match is None:
            raise self.wrong(offset, "a string does not end")
        try:
            return json.loads(match[0], strict=False), match.end()
        except ValueError as error:
            raise self.wrong(offset, "a string has an escape that is none") from error

    def members(self, offset: int, address: Address) -> tuple[dict[str, Any], int]:
        table: dict[str, Any] = {}
        offset = self.skip(offset)
        while not self.text.content.startswith("}", offset):
            if not self.text.content.startswith('"', offset):
                raise self.wrong(offset, 'a key in quotes or "}" is missing')
            start = offset
            key, offset = self.string(offset)
            place = self.text.place_at(start + 1, offset - start - 2)
            if self.unique and key in table:
                first = self.places[(*address, key)].line
                raise Unreadable(place, f"{key}: given twice, first in line {first}")
            self.places[(*address, key)] = place
            offset = self.skip(offset)
            if not self.text.content.startswith(":", offset):
                raise self.wrong(offset, '":" is missing')
            table[key], offset = self.value(self.skip(offset + 1), (*address, key))
            offset = self.next(offset, "}")
        return table, offset + 1

    def items(self, offset: int, address: Address) -> tuple[list[Any], int]:
        array: list[Any] = []
        offset = self.skip(offset)
        while not self.text.content.startswith("]", offset):
            here = (*address, len(array))
            start = offset
            item, offset = self.value(offset, here)
            self.places.setdefault(here, self.text.place_at(start, self.width(start, offset)))
            array.append(item)
            offset = self.next(offset, "]")
        return array, offset + 1

    def width(self, start: int, end: int) -> int:
        return 0 if "\n" in self.text.content[start:end] else end - start

    def next(self, offset: int, closing: str) -> int:
        """Past the comma after a value; at the bracket that closes."""
        offset = self.skip(offset)
        if self.text.content.startswith(",", offset):
            return self.skip(offset + 1)
        if self.text.content.startswith(closing, offset):
            return offset
        raise self.wrong(offset, f'"," or "{closing}" is missing')
