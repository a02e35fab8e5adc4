"""What is told of a provider call. No prompt, no answer, no key."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

from service.log import log


@dataclass(frozen=True)
class ProviderCall:
    """One call, its retries included. Times are in milliseconds; None is not known.

    `outcome` is "ok", "client-left", or the kind of error that ended it.
    """

    request_id: str
    provider: str
    model: str
    route: str
    outcome: str
    attempts: int
    latency_ms: float
    first_token_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


Record = Callable[[ProviderCall], None]


def record_in_log(call: ProviderCall) -> None:
    """Write the call as a log line."""
    log("info", "provider_call", **asdict(call))
