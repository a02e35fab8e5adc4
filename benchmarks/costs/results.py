"""What a run measured, as it is kept in JSON."""

from datetime import date
from statistics import median

from pydantic import BaseModel, ConfigDict


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Figures(_Record):
    """One Worker's figures; a list has one figure a round, itself a median where it can be."""

    cold_s: list[float] = []
    """From the start of the process to the first 200, with a snapshot."""
    healthz_ms: list[float] = []
    snapshot_bytes: int | None = None
    upload_bytes: int | None = None
    gzip_bytes: int | None = None
    first_chat_ms: list[float] = []
    """The first chat after a restore, with the stand-ins on loopback."""
    next_chat_ms: list[float] = []
    """The five chats after it."""
    warm_chat_ms: list[float] = []
    """Chats after fifty others."""
    instant_chat_ms: list[float] = []
    """Warm chats with a provider that answers at once, in the same process."""
    instant_cpu_ms: list[float] = []
    """The processor time of the same."""
    chunk_ms: list[float] = []
    """What each further chunk of a stream adds."""
    memory_mib: list[tuple[int, float]] = []
    """workerd's resident memory after so many mixed requests."""
    mixed_failed: int = 0
    """How many of them ended in something other than an answer."""

    def median(self, figure: str) -> float | None:
        """The median over the rounds, or the one figure; None where it was not measured."""
        value = getattr(self, figure)
        if isinstance(value, list):
            return median(value) if value else None
        return None if value is None else float(value)


class Results(_Record):
    """A run."""

    day: date
    machine: str
    rounds: int
    quick: bool
    versions: dict[str, str]
    workers: dict[str, Figures]
    tests_s: list[float] = []
    """`npm test` of the default project: the first run, which fills caches, and the second."""
