"""What is in wheels: read from their ends without downloading them, several at a time, and kept.

A part of pip_resolver.py: sessions and links are pip's.
"""

import io
import json
import re
import sqlite3
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from email.parser import HeaderParser
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile

# What is read first from a wheel's end, in bytes: mostly the directory and the metadata are in it.
TAIL = 64 * 1024

# What else is read is read in pieces of so many bytes.
PIECE = 16 * 1024

# As much of a wheel's METADATA is read at most, in bytes: it may be a bomb.
METADATA = 1024 * 1024

# How many wheels are written at a time: each transaction is a file made and removed.
BATCH = 64

# Requests at a time: as many connections as pip's session keeps open.
READERS = 10


class UnreadableError(Exception):
    """A wheel that could not be read; its text names the file and the reason."""


@dataclass(frozen=True)
class Content:
    """What a wheel says of itself.

    Attributes:
        metadata: the headers of its METADATA.
        raw: the bytes of its files.
        gzip: the bytes of the wheel, which is compressed in the same way.
        modules: what it can be imported as, dotted.
        left_out: the bytes of `raw` that a build of Pyodide's has not: shared libraries, tests.
    """

    metadata: str
    raw: int
    gzip: int
    modules: Sequence[str]
    left_out: int = 0

    @cached_property
    def requires(self) -> Sequence[str]:
        """What it requires, as it says it."""
        return HeaderParser().parsestr(self.metadata).get_all("Requires-Dist", [])


class Wheels:
    """Reads wheels, each once; one that came from a server is kept in a file of the cache."""

    def __init__(self, session: Any, cache: Path) -> None:  # noqa: ANN401 - pip's own, untyped
        self.pool = ThreadPoolExecutor(READERS)
        self._session = session
        self.kept = Kept(cache / "wheels-2.sqlite")  # another number for another Content
        self._read: dict[str, Future[Content]] = {}
        self._new: set[str] = set()

    def start(self, link: Any) -> Future[Content]:  # noqa: ANN401
        """Have a wheel read that will be asked for."""
        url = link.url_without_fragment
        if url not in self._read:
            self._read[url] = self._started(link, url)
        return self._read[url]

    def _started(self, link: Any, url: str) -> Future[Content]:  # noqa: ANN401
        if link.is_file:
            return self.pool.submit(_of_file, Path(link.file_path))
        if kept := self.kept.get(_key(link)):
            known: Future[Content] = Future()
            known.set_result(Content(**kept))
            return known
        self._new.add(url)
        return self.pool.submit(_of_server, self._session, url)

    def of(self, link: Any) -> Content:  # noqa: ANN401
        """What is in a wheel.

        Raises:
            UnreadableError: it cannot be had, or is no wheel.
        """
        try:
            content = self.start(link).result()
        except Exception as error:  # whatever a server answers; its address may hold a password
            why = type(error).__name__
            raise UnreadableError(f"{link.filename} cannot be read ({why})") from error
        if link.url_without_fragment in self._new:
            self._new.remove(link.url_without_fragment)
            self.kept.put(_key(link), asdict(content))
        return content


class Kept:
    """JSON documents by name, in one file. A cache: where that fails, nothing is kept.

    SQLite's file stays whole though its writer is killed, and has no halves of files beside it.
    """

    def __init__(self, path: Path) -> None:
        self._new: dict[str, str] = {}
        self._database = sqlite3.connect(":memory:")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = self._opened(path)
        except (OSError, sqlite3.OperationalError):
            pass
        except sqlite3.DatabaseError:  # no database: the next one to come starts anew
            path.unlink(missing_ok=True)

    @staticmethod
    def _opened(path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path)
        database.execute("PRAGMA synchronous = OFF")
        database.execute("CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, document TEXT)")
        return database

    def get(self, name: str) -> dict[str, Any] | None:
        """The document, if it is there."""
        with suppress(sqlite3.Error, ValueError):
            query = "SELECT document FROM kept WHERE name = ?"
            for (document,) in self._database.execute(query, (name,)):
                return dict(json.loads(document))
        return None

    def put(self, name: str, document: dict[str, Any]) -> None:
        """Keep it; it is written together with others."""
        self._new[name] = json.dumps(document)
        if len(self._new) == BATCH:
            self.write()

    def write(self) -> None:
        """Write what is not yet written."""
        with suppress(sqlite3.Error), self._database:
            query = "INSERT OR REPLACE INTO kept VALUES (?, ?)"
            self._database.executemany(query, self._new.items())
        self._new.clear()


def _key(link: Any) -> str:  # noqa: ANN401
    """What a wheel is kept under: a release never changes. Hashed, for a URL may hold passwords."""
    digest = link.as_hashes()._allowed.get("sha256") or link.url_without_fragment  # noqa: SLF001
    return sha256(f"{link.filename} {digest}".encode()).hexdigest()


def _of_file(path: Path) -> Content:
    with path.open("rb") as file, ZipFile(file) as wheel:
        return _content(wheel, path.stat().st_size)


def _of_server(session: Any, url: str) -> Content:  # noqa: ANN401
    tail = Ranged(session, url)
    with ZipFile(io.BufferedReader(tail, PIECE)) as wheel:
        return _content(wheel, tail.size)


class Ranged(io.RawIOBase):
    """A file on a server: its end, and what else is read of it. All, where ranges are not known."""

    def __init__(self, session: Any, url: str) -> None:  # noqa: ANN401
        super().__init__()
        self._session = session
        self._url = url
        self._position = 0
        try:
            answer = self._get(f"bytes=-{TAIL}")
        except OSError:  # of requests: some servers refuse to count from the end
            answer = self._get("bytes=0-")
        self._tail: bytes = answer.content
        whole = answer.status_code == 200
        told = "" if whole else answer.headers["Content-Range"]
        self.size = len(self._tail) if whole else int(told.rpartition("/")[2])

    def _get(self, wanted: str) -> Any:  # noqa: ANN401
        headers = {"Range": wanted, "Accept-Encoding": "identity"}
        answer = self._session.get(self._url, headers=headers)
        answer.raise_for_status()
        return answer

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go there."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Where it is read next."""
        return self._position

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - a Buffer, from Python 3.12 on
        """Fill the buffer."""
        view = memoryview(buffer).cast("B")
        start = self.size - len(self._tail)
        end = min(self._position + len(view), self.size)
        if self._position < start <= end:  # a large directory: the metadata is mostly before it
            first = max(self._position - TAIL, 0)
            self._tail = self._part(first, start) + self._tail
            start = first
        if self._position < start:
            piece = self._part(self._position, end)
        else:
            piece = self._tail[self._position - start : end - start]
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def _part(self, start: int, end: int) -> bytes:
        content = self._get(f"bytes={start}-{end - 1}").content
        if len(content) != end - start:
            raise OSError("a part of another length than was asked for")
        return bytes(content)


def _content(wheel: ZipFile, size: int) -> Content:
    files = wheel.infolist()
    names = [file.filename for file in files]
    path = next(name for name in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
    with wheel.open(path) as file:
        text = file.read(METADATA).decode(errors="replace")
    return Content(
        metadata=re.split(r"\r?\n\r?\n", text, maxsplit=1)[0],
        raw=sum(file.file_size for file in files),
        gzip=size,
        modules=modules(names),
        left_out=sum(
            file.file_size
            for file in files
            if re.search(r"^[^/]+\.(libs|dylibs)/|/tests?/", file.filename)
        ),
    )


def modules(names: Sequence[str]) -> list[str]:
    """What a wheel with these files can be imported as: the outermost modules, dotted.

    A package without __init__.py is shared with others (`google`): what lies in it counts.
    """
    paths = [PurePosixPath(name) for name in names if name.endswith((".py", ".so", ".pyd"))]
    packages = {path.parent for path in paths if path.name == "__init__.py"}
    found: set[str] = set()
    for path in paths:
        if path.parts[0].endswith((".data", ".dist-info")):
            continue
        outer = next((parent for parent in reversed(path.parents) if parent in packages), None)
        module = outer or path.parent / path.name.partition(".")[0]
        found.add(".".join(module.parts))
    return sorted(found)[:40]
