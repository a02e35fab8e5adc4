"""A double of the platform's tracing, for CPython, where there is none."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from service.runtime import EndSpan, StartSpan, no_span

Span = dict[str, object]

without_tracing = no_span


@contextmanager
def tracing() -> Iterator[tuple[StartSpan, list[Span]]]:
    """What starts spans, and the spans as they are ended: name, attributes, status."""
    ended: list[Span] = []

    def start_span(name: str) -> EndSpan:
        def end(attributes: Mapping[str, str | int | float | bool], failure: str | None) -> None:
            status = {"code": "error", "message": failure} if failure else None
            ended.append({"name": name, "attributes": dict(attributes), "status": status})

        return end

    yield start_span, ended
