"""Provider calls as Analytics Engine data points."""

from collections.abc import Mapping
from typing import Protocol

from service.log import log, where
from service.telemetry.events import ProviderCall

# A column's number is its place here: blob1 is the provider, double1 the attempts.
BLOBS = ("provider", "model", "route", "outcome")
DOUBLES = ("attempts", "latency_ms", "first_token_ms", "input_tokens", "output_tokens")
UNKNOWN = -1.0
"""A double that is not known: the engine has no null."""


class AnalyticsEngineBinding(Protocol):
    """What the service uses of the binding."""

    def writeDataPoint(self, point: Mapping[str, object], /) -> object:  # noqa: N802 - the platform's name
        ...


class AnalyticsEngine:
    """Writes one data point a call; the platform sends them after the answer, nothing waits."""

    def __init__(self, binding: AnalyticsEngineBinding) -> None:
        self._binding = binding

    def record(self, call: ProviderCall) -> None:
        """Write the call. A point that cannot be written is logged and costs the caller nothing."""
        doubles = [getattr(call, name) for name in DOUBLES]
        point = {
            "indexes": [call.provider],
            "blobs": [getattr(call, name) for name in BLOBS],
            "doubles": [UNKNOWN if value is None else float(value) for value in doubles],
        }
        try:
            self._binding.writeDataPoint(point)
        except Exception as error:  # noqa: BLE001 - JavaScript's errors have no class in common
            log("error", "telemetry_failed", error=type(error).__name__, where=where(error))
