"""Provider calls as Analytics Engine data points.

A request writes as many points as it calls providers; the engine takes 25 of one request, and of a
point 20 blobs, 20 doubles and one index. What is larger it drops without a word.
https://developers.cloudflare.com/analytics/analytics-engine/limits/
"""

from collections.abc import Mapping
from typing import Protocol

from service.context import Context
from service.settings import binding
from service.telemetry.events import RECORDERS, ProviderCall, Record

# A column's number is its place here: blob1 is the provider, double1 the attempts. What was written
# keeps its columns, so a new one goes to the end.
BLOBS = ("provider", "model", "route", "outcome", "cache_status", "subject")
DOUBLES = (
    "attempts",
    "latency_ms",
    "first_token_ms",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "fallback",
    "stored",
)
UNKNOWN = -1.0
"""A double that is not known: the engine has no null."""

MAX_INDEX_BYTES = 96
MAX_BLOB_BYTES = 16_000 // len(BLOBS)
"""The engine takes 16 KB of blobs a point; a provider can name its model as it likes."""


class AnalyticsEngineBinding(Protocol):
    """What the service uses of the binding."""

    def writeDataPoint(self, point: Mapping[str, object], /) -> object:  # noqa: N802 - the platform's name
        ...


class AnalyticsEngine:
    """Writes one data point a call; the platform sends them after the answer, nothing waits."""

    def __init__(self, binding: AnalyticsEngineBinding) -> None:
        self._binding = binding

    def record(self, call: ProviderCall) -> None:
        """Write the call.

        Where there is much to write the engine samples, for each index on its own: by caller, so
        that a busy one does not hide the others.
        """
        doubles = [getattr(call, name) for name in DOUBLES]
        self._binding.writeDataPoint(
            {
                "indexes": [_cut(call.subject or call.provider, MAX_INDEX_BYTES)],
                "blobs": [_cut(getattr(call, name) or "", MAX_BLOB_BYTES) for name in BLOBS],
                "doubles": [UNKNOWN if value is None else float(value) for value in doubles],
            }
        )


def recorder(context: Context) -> Record:
    return AnalyticsEngine(binding(context.env, "ANALYTICS")).record


feature = (RECORDERS.by(recorder),)


def _cut(text: str, most: int) -> str:
    """The beginning of a text, in at most so many bytes of UTF-8."""
    return text.encode(errors="replace")[:most].decode(errors="ignore")
