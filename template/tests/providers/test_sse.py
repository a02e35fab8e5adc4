"""Server-sent events, against the specification told once more in the plainest way."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.providers.sse import Event, EventTooLongError, Parser


def reference(stream: bytes) -> list[Event]:
    """The events of a whole stream, by the specification's words and without its hurry."""
    text = stream.decode("utf-8", "replace").removeprefix("\ufeff")
    *lines, _rest = re.split(r"\r\n|\n|\r", text)
    events, name, data = [], "", ""
    for line in lines:
        if line == "":
            if data != "":
                events.append(Event(name or "message", data.removesuffix("\n")))
            name, data = "", ""
        elif not line.startswith(":"):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data += value + "\n"
    return events


def parse(chunks: list[bytes], limit: int = 1000) -> list[Event]:
    parser = Parser(limit)
    return [event for chunk in chunks for event in parser.feed(chunk)]


def cut(stream: bytes, places: set[int]) -> list[bytes]:
    bounds = [0, *sorted(place for place in places if place < len(stream)), len(stream)]
    return [stream[a:b] for a, b in pairwise(bounds)]


LINES = ["data: é", "event: x", "data", "event", "id", ":", " ", "x", "🦀", "\ufeff", "\u2028"]
ENDS = ["\r", "\n", "\r\n", "\r\r", "\n\n", "\r\n\r\n"]
SCRAPS = st.sampled_from([*LINES, *ENDS])
STREAMS = st.lists(SCRAPS).map(lambda scraps: "".join(scraps).encode())
PLACES = st.sets(st.integers(0, 200))


@given(STREAMS, PLACES)
def test_events_are_the_specifications_wherever_the_stream_is_cut(
    stream: bytes, places: set[int]
) -> None:
    assert parse(cut(stream, places)) == reference(stream)


@given(STREAMS)
def test_events_are_the_specifications_byte_by_byte(stream: bytes) -> None:
    assert parse([bytes([byte]) for byte in stream]) == reference(stream)


@given(st.binary(), PLACES)
def test_no_bytes_are_too_strange(stream: bytes, places: set[int]) -> None:
    assert parse(cut(stream, places)) == reference(stream)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [Event("message", "YHOO\n+2\n10")]),
        (
            ": comment\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third\n\n",
            [
                Event("message", "first event"),
                Event("message", "second event"),
                Event("message", " third"),
            ],
        ),
        ("data\n\ndata\ndata\n\ndata:", [Event("message", ""), Event("message", "\n")]),
        ("data:test\n\ndata: test\n\n", [Event("message", "test")] * 2),
        ("event: add\ndata: 1\n\ndata: 2\n\n", [Event("add", "1"), Event("message", "2")]),
        ("event: add\n\ndata: 2\n\n", [Event("message", "2")]),
        ("data: no end\n", []),
        ("\ufeffdata: 1\n\n\ufeffdata: 2\n\n", [Event("message", "1")]),
        ("\ufeff\ufeffdata: 1\n\n", []),
    ],
)
def test_the_specifications_examples(stream: str, events: list[Event]) -> None:
    assert parse([stream.encode()]) == events


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"x" * 100,
        b"data: " + b"x" * 100 + b"\n\n",
        b"data: 1234567\n" * 8,
        b": " + b"x" * 100,
    ],
)
def test_an_event_over_the_limit_is_refused_however_it_comes(stream: bytes) -> None:
    with pytest.raises(EventTooLongError):
        parse([stream], limit=100)
    with pytest.raises(EventTooLongError):
        parse([bytes([byte]) for byte in stream], limit=100)


@given(st.integers(1, 50))
def test_the_limit_is_for_one_event_and_not_for_comments_or_the_stream(times: int) -> None:
    stream = b"data: 1234567\n\n: a comment\nid: 1\n" * times
    assert len(parse([stream], limit=40)) == times
    assert parse([b": a comment\n" * times], limit=40) == []
