"""Files that strangers wrote: read with an error for whatever is wrong, and no traceback."""

import re
import tomllib
from pathlib import Path
from typing import Any, NamedTuple, Self

from forge_scaffold.errors import UserError

LARGEST = 20 * 1024 * 1024  # of a file that is read, in bytes


class Source(NamedTuple):
    """A file that says what a project depends on.

    Attributes:
        path: where it is.
        text: what it says.
    """

    path: Path
    text: str

    @classmethod
    def read(cls, file: Path) -> Self:
        """A file and its text.

        Raises:
            UserError: it is not there, cannot be read, or is no text.
        """
        try:
            if not file.is_file():
                raise UserError(f"{file}: no such file")
            if file.stat().st_size > LARGEST:
                raise UserError(f"{file}: larger than {LARGEST // 2**20} MiB; it is not read")
            return cls(file, file.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise UserError(f"{file}: not UTF-8 text") from error
        except (OSError, ValueError) as error:
            raise UserError(f"{file}: {getattr(error, 'strerror', None) or error}") from error

    @property
    def name(self) -> str:
        """The file's name, as places have it."""
        return self.path.name

    def toml(self) -> dict[str, Any]:
        """What it says as TOML.

        Raises:
            UserError: it is none.
        """
        try:
            return tomllib.loads(self.text)
        except RecursionError as error:
            raise UserError(f"{self.path}: nested too deep") from error
        except ValueError as error:
            raise UserError(f"{self.path}: not TOML: {error}") from error

    def line(self, fragment: str) -> int:
        """The first line with a fragment, quotes in it perhaps escaped; 1 when it is nowhere."""
        escaped = fragment.replace('"', '\\"')
        at = max(self.text.find(fragment), self.text.find(escaped), 0)
        return self.text.count("\n", 0, at) + 1

    def line_of_key(self, key: str) -> int:
        """The line that gives a key of TOML a value; 1 when none does."""
        found = re.search(rf"""(?m)^\s*["']?{re.escape(key)}["']?\s*=""", self.text)
        return self.text.count("\n", 0, found.end()) + 1 if found else 1


def table(value: object) -> dict[str, Any]:
    """The value when it is a table, an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def tables(value: object) -> list[dict[str, Any]]:
    """The tables of an array."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def strings(value: object) -> list[str]:
    """The strings of an array."""
    return [entry for entry in value if isinstance(entry, str)] if isinstance(value, list) else []


def text(value: object) -> str:
    """The value when it is a string, an empty one otherwise."""
    return value if isinstance(value, str) else ""
