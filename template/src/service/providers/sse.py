"""Server-sent events, parsed as they arrive.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream; `id` and
`retry` are for clients that reconnect, which nobody here does.
"""

import codecs
import re
from dataclasses import dataclass

MAX_EVENT_CHARS = 1024 * 1024

_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class Event:
    """One event; `name` is "message" where the stream gives none."""

    name: str
    data: str


class EventTooLongError(ValueError):
    """An event is longer than the parser was told to keep."""


class Parser:
    """Takes a stream's bytes, cut anywhere, and gives the events completed by them.

    What follows the last empty line is no event (the specification discards it, too).
    """

    def __init__(self, max_event_chars: int = MAX_EVENT_CHARS) -> None:
        # utf-8-sig drops the byte order mark that may stand before everything.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._limit = max_event_chars
        self._ended_in_cr = False
        self._line: list[str] = []
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self.has_begun = False
        """Whether there has been an event."""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes; raises EventTooLongError."""
        text = self._decoder.decode(chunk)
        if not text:
            return []
        if self._ended_in_cr:
            text = text.removeprefix("\n")
        self._ended_in_cr = text.endswith("\r")
        *lines, rest = _LINE_END.split(text)
        events = []
        for line in lines:
            self._keep(line)
            if event := self._end_line():
                events.append(event)
        self._keep(rest)
        return events

    def _keep(self, piece: str) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise EventTooLongError(f"an event has more than {self._limit} characters")
        self._line.append(piece)

    def _end_line(self) -> Event | None:
        line = "".join(self._line)
        self._line.clear()
        if not line:
            return self._end_event()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        else:
            self._size -= len(line)
        if name == "event":
            self._name = value
        return None

    def _end_event(self) -> Event | None:
        event = Event(self._name or "message", "\n".join(self._data)) if self._data else None
        self.has_begun = self.has_begun or event is not None
        self._name = ""
        self._data.clear()
        self._size = 0
        return event
