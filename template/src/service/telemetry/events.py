"""What is told of a provider call, and who is told. No prompt, no answer, no key."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from service.context import Context, Slot
from service.log import log, where
from service.web import Request


@dataclass(frozen=True)
class ProviderCall:
    """One call, its retries included. Times are in milliseconds; None is not known.

    `route` is the path as declared. `outcome` is "ok", "client-left", the kind of error that ended
    the call, or "throttled": then no provider was asked, `provider` and `model` are "". `fallback`
    says that another provider had failed before, `cache_status` what an AI Gateway did, and
    `gateway_log_id` where its log tells of it. `subject` is the caller's hash, see `subjects`.
    `stored` says whether the answer was stored, None where there was none or nothing stores them.
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
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    fallback: bool = False
    cache_status: str | None = None
    gateway_log_id: str | None = None
    subject: str | None = None
    stored: bool | None = None


Record = Callable[[ProviderCall], None]

Hash = Callable[[str], str | None]
"""A caller's hash; None where callers are not told apart."""

Begin = Callable[[str, str], Record]
"""Told a call's provider and model when it begins; what it returns is told how it went."""


RECORDERS = Slot[Record]()
BEGIN = Slot[Begin]()
SUBJECT = Slot[Hash]()


def nobody(_caller: str) -> None:
    """The hash where callers are not told apart."""


class Telemetry:
    """Tells `recorders` of each call, and those that `begin` calls with it.

    `subject` is the hash for callers. Whoever cannot be told costs them nothing: that is logged.
    """

    def __init__(
        self, *recorders: Record, begin: Sequence[Begin] = (), subject: Hash = nobody
    ) -> None:
        self._recorders = recorders
        self._begin = begin
        self.subject = subject

    def begin(self, provider: str, model: str) -> Record:
        """A call begins; tell what this returns how it went."""
        records = [*self._recorders]
        for begin in self._begin:
            with _harmless():
                records.append(begin(provider, model))
        return lambda call: _tell(records, call)

    def throttled(self, request: Request, route: str, caller: str | None) -> None:
        """A request was refused: `caller`, or an address where there is none, sent too many."""
        call = ProviderCall(
            request_id=request.id,
            provider="",
            model="",
            route=route,
            outcome="throttled",
            attempts=0,
            latency_ms=0.0,
            subject=None if caller is None else self.subject(caller),
        )
        _tell(self._recorders, call)


def record_in_log(call: ProviderCall) -> None:
    """Write the call, or that there was none, as a log line."""
    event = "throttled" if call.outcome == "throttled" else "provider_call"
    log("info", event, **asdict(call))


def telemetry(context: Context) -> Telemetry:
    return Telemetry(
        record_in_log,
        *context.every(RECORDERS),
        begin=context.every(BEGIN),
        subject=context.find(SUBJECT) or nobody,
    )


def _tell(records: Sequence[Record], call: ProviderCall) -> None:
    for record in records:
        with _harmless():
            record(call)


@contextmanager
def _harmless() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - JavaScript's errors have no class in common
        log("error", "telemetry_failed", error=type(error).__name__, where=where(error))
