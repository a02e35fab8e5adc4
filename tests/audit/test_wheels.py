"""What is in a wheel, read in parts from a server."""

import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold.packages import wheels
from forge_scaffold.packages.wheels import Ranged, modules


@dataclass
class Answer:
    content: bytes
    status_code: int
    headers: dict[str, str] = field(default_factory=dict)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise OSError(self.status_code)


@dataclass
class Server:
    """A session with one file behind it; it may refuse to count from the end."""

    whole: bytes
    from_the_end: bool

    def get(self, _url: str, headers: dict[str, str]) -> Answer:
        first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", headers["Range"]).groups()  # type: ignore[union-attr]
        if not first and not self.from_the_end:
            return Answer(b"", 501)
        start = int(first) if first else max(len(self.whole) - int(last), 0)
        part = self.whole[start : int(last) + 1 if first and last else None]
        told = f"bytes {start}-{start + len(part) - 1}/{len(self.whole)}"
        return Answer(part, 206, {"Content-Range": told})


@given(
    whole=st.binary(min_size=1, max_size=400),
    from_the_end=st.booleans(),
    parts=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=8),
)
def test_any_part_of_a_file_is_what_is_there(
    *, whole: bytes, from_the_end: bool, parts: list[tuple[int, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wheels, "TAIL", 32)
        session: Any = Server(whole, from_the_end)
        file = Ranged(session, "https://example.org/x.whl")
        assert file.size == len(whole)
        for position, length in parts:
            file.seek(position)
            read = b""
            while piece := file.read(length - len(read)):
                read += piece
            assert read == whole[position : position + length]


@pytest.mark.parametrize(
    ("files", "imported"),
    [
        (["jose/__init__.py", "jose/jwt.py"], ["jose"]),
        (["typing_extensions.py", "x-1.dist-info/METADATA"], ["typing_extensions"]),
        (["google/cloud/storage/__init__.py"], ["google.cloud.storage"]),
        (["yaml/__init__.py", "yaml/_yaml.cpython-314-x86_64-linux-gnu.so"], ["yaml"]),
        (["x-1.data/scripts/run.py", "docs/readme.txt"], []),
    ],
)
def test_what_a_wheel_is_imported_as_is_read_from_its_files(
    files: list[str], imported: list[str]
) -> None:
    assert modules(files) == imported
