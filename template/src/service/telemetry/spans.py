"""Provider calls as spans, in OpenTelemetry's words for generative AI.

https://github.com/open-telemetry/semantic-conventions-genai has them; what it has no word for
begins with "app". No span has an attribute for what was said.
"""

from collections.abc import Iterator, Mapping

from service.context import Context
from service.providers.chosen import PROVIDERS
from service.runtime import StartSpan
from service.telemetry.events import BEGIN, Begin, ProviderCall, Record

OPERATION = "chat"
NAMES: Mapping[str, str] = {each.name: each.telemetry_name or each.name for each in PROVIDERS}
"""The conventions' names for providers, by ours."""

Attribute = tuple[str, str | int | float | bool | None]


class Spans:
    """Makes each call a span."""

    def __init__(self, start_span: StartSpan) -> None:
        self._start_span = start_span

    def begin(self, provider: str, model: str) -> Record:
        """Start the span of a call; what this returns ends it."""
        end = self._start_span(f"{OPERATION} {model}")
        asked = {
            "gen_ai.operation.name": OPERATION,
            "gen_ai.provider.name": NAMES.get(provider, provider),
            "gen_ai.request.model": model,
        }

        def record(call: ProviderCall) -> None:
            known = {name: value for name, value in _answered(call) if value is not None}
            # A client that left took what it wanted: nothing failed.
            failure = None if call.outcome in ("ok", "client-left") else call.outcome
            failed = {"error.type": failure} if failure else {}
            end({**asked, **known, **failed}, failure)

        return record


def begin(context: Context) -> Begin:
    return Spans(context.runtime.start_span).begin


feature = (BEGIN.by(begin),)


def _answered(call: ProviderCall) -> Iterator[Attribute]:
    yield "gen_ai.response.model", call.model if call.outcome == "ok" else None
    seconds = None if call.first_token_ms is None else call.first_token_ms / 1000
    yield "gen_ai.response.time_to_first_chunk", seconds
    yield "gen_ai.usage.input_tokens", call.input_tokens
    yield "gen_ai.usage.output_tokens", call.output_tokens
    yield "gen_ai.usage.cache_read.input_tokens", call.cached_tokens
    yield "gen_ai.usage.reasoning.output_tokens", call.reasoning_tokens
    yield "enduser.pseudo.id", call.subject
    yield "http.route", call.route
    yield "app.request_id", call.request_id
    yield "app.outcome", call.outcome
    yield "app.attempts", call.attempts
    yield "app.fallback", call.fallback
    yield "app.stored", call.stored
    yield "app.cache_status", call.cache_status
    yield "app.gateway_log_id", call.gateway_log_id
