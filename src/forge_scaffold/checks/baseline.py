"""A file of accepted findings: an old project starts with those, and its checks report new ones.

A finding is known by its rule, file and message, not by its line, which moves with every edit. The
file repeats no source: messages hold no secrets.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from forge_scaffold.checks.finding import Finding
from forge_scaffold.errors import UserError

_LINE = re.compile(r"\bline \d+")

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Baseline:
    """How often each finding is accepted."""

    accepted: Counter[Key]

    @classmethod
    def of(cls, found: Iterable[Finding]) -> Self:
        """One that accepts these findings."""
        return cls(Counter(map(_key, found)))

    @classmethod
    def read(cls, file: Path) -> Self:
        """One from a file.

        Raises:
            UserError: it cannot be read, or no `--write-baseline` wrote it.
        """
        try:
            listed = json.loads(file.read_text(encoding="utf-8"))["findings"]
            keys = [(each["rule"], each["path"], each["message"]) for each in listed]
            accepted = Counter(keys)
        except OSError as error:
            raise UserError(f"{file}: {error.strerror}; write it with --write-baseline") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(f"{file}: not a baseline; write it with --write-baseline") from error
        return cls(accepted)

    def new(self, found: Iterable[Finding]) -> tuple[list[Finding], int]:
        """The findings that are not accepted, and how many accepted ones there are no more."""
        left = self.accepted.copy()
        new = []
        for finding in found:
            key = _key(finding)
            if left[key]:
                left[key] -= 1
            else:
                new.append(finding)
        return new, left.total()

    def __str__(self) -> str:
        """The file, a line a finding, so that two branches' changes merge."""
        rows = [
            json.dumps({"rule": rule, "path": path, "message": message}, ensure_ascii=False)
            for rule, path, message in sorted(self.accepted.elements())
        ]
        inner = "\n" + ",\n".join(f"  {row}" for row in rows) + "\n " if rows else ""
        return f'{{\n "findings": [{inner}]\n}}\n'


def _key(finding: Finding) -> Key:
    return finding.rule, str(finding.place.path), _LINE.sub("a line", finding.message)
