"""Doubles of a queue: of its binding for CPython, and of deliveries whose outcome a test reads.

The real queue delivers to the Worker that is tested over HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


class MemoryQueue(list[str]):
    """Keeps what is sent."""

    async def send(self, body: str, options: Mapping[str, object], /) -> None:
        assert options == {"contentType": "text"}
        self.append(body)


@dataclass
class Message:
    """One delivery of a message, and what became of it."""

    body: str
    attempts: int = 1
    id: str = "message"
    outcomes: list[object] = field(default_factory=list)

    def ack(self) -> None:
        self.outcomes.append("ack")

    def retry(self, options: Mapping[str, object], /) -> None:
        self.outcomes.append(options["delaySeconds"])


@dataclass
class Batch:
    """What is delivered at once."""

    messages: Sequence[Message]
    queue: str = "my-service-jobs"
