"""Loopback stand-ins for the services the Worker talks to: real HTTP, no account, no key.

`python -m dev.standins` runs them for a person; `with Standins() as standins:` for a test.
"""

from threading import Thread
from types import TracebackType
from typing import Self

from dev.standins.server import Server


class Standins:
    """The stand-ins on a thread of their own, for as long as the `with` block lasts."""

    def __init__(self, port: int = 0) -> None:
        """Listen on `port` of 127.0.0.1; 0 takes a free one. Raises OSError when it is taken."""
        self._server = Server(port)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="standins")

    @property
    def url(self) -> str:
        """The address of it all, such as `http://127.0.0.1:8789`."""
        return self._server.url

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
