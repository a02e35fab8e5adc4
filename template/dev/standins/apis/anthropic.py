"""Anthropic's Messages API."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from dev.standins.api import Api, Body, Question, Reply, event, objects

# What there is in an answer and does not matter here.
_ENDING: Body = {"stop_sequence": None, "stop_details": None, "container": None}
_COUNTED_LATER: Body = {
    "cache_creation_input_tokens": None,
    "cache_read_input_tokens": None,
    "output_tokens_details": None,
    "server_tool_use": None,
}
_COUNTED: Body = {
    **_COUNTED_LATER,
    "cache_creation": None,
    "inference_geo": None,
    "service_tier": "standard",
}


class Anthropic(Api):
    """Messages."""

    base = "/anthropic/v1"
    gateway_path = "anthropic/v1"
    path = "/messages"
    request_id = "request-id"
    _types: ClassVar = {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        504: "timeout_error",
        529: "overloaded_error",
    }
    parameters = frozenset({"model", "messages", "max_tokens", "system", "temperature", "stream"})
    required_headers = frozenset({"anthropic-version"})
    _stop: ClassVar = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}

    def key(self, headers: Mapping[str, str]) -> str | None:
        """A header of its own."""
        return headers.get("x-api-key")

    def problem(self, body: Body) -> str | None:
        """That max_tokens is required, and system is no role, comes on top."""
        if not isinstance(body.get("max_tokens"), int):
            return "max_tokens: Field required"
        if problem := super().problem(body):
            return problem
        roles = {message.get("role") for message in objects(body["messages"])}
        return None if roles <= {"user", "assistant"} else "messages: unexpected role"

    def question(self, place: Mapping[str, str], body: Body) -> Question:
        """What the system says stands beside the turns."""
        question = super().question(place, body)
        return replace(question, turns=[("system", str(body.get("system", ""))), *question.turns])

    def error(self, status: int, message: str) -> Body:
        """An object named error in an object of type error."""
        otherwise = "api_error" if status >= 500 else "invalid_request_error"
        kind = self._types.get(status, otherwise)
        return {
            "type": "error",
            "error": {"type": kind, "message": message},
            "request_id": "req_standin",
        }

    def block(self) -> tuple[int, Body]:
        """A bad request with a message."""
        return 400, self.error(400, "Output blocked by content filtering policy")

    def answer(self, reply: Reply) -> Body:
        """Blocks of content; a refusal has none."""
        return {
            **self._message(reply),
            "content": [self._block(reply.text)] if self._says(reply) else [],
            "stop_reason": self._stop[reply.finish],
            "usage": _usage(reply.input_tokens, self._counted(reply)),
        }

    def opening(self, reply: Reply) -> str:
        """The message without content, a ping, and the start of the first block."""
        usage = _usage(reply.input_tokens, 1)
        message = {**self._message(reply), "content": [], "stop_reason": None, "usage": usage}
        start = {"type": "content_block_start", "index": 0}
        block = {**start, "content_block": self._block("")}
        return (
            event({"type": "message_start", "message": message}, "message_start")
            + event({"type": "ping"}, "ping")
            + (event(block, "content_block_start") if self._says(reply) else "")
        )

    def word(self, reply: Reply, text: str) -> str:
        """A delta of the first block."""
        if not self._says(reply):
            return ""
        delta = {"type": "text_delta", "text": text}
        return event(
            {"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta"
        )

    def closing(self, reply: Reply) -> str:
        """The end of the block, the reason with the usage, and the end of the message."""
        stop = {**_ENDING, "stop_reason": self._stop[reply.finish]}
        usage = {**_COUNTED_LATER, "input_tokens": None, "output_tokens": self._counted(reply)}
        end = event({"type": "content_block_stop", "index": 0}, "content_block_stop")
        return (
            (end if self._says(reply) else "")
            + event({"type": "message_delta", "delta": stop, "usage": usage}, "message_delta")
            + event({"type": "message_stop"}, "message_stop")
        )

    def failure(self, message: str) -> str:
        """An event named error."""
        return event(self.error(529, message), "error")

    def _message(self, reply: Reply) -> dict[str, object]:
        return {
            "id": "msg_standin",
            "type": "message",
            "role": "assistant",
            "model": reply.model,
            **_ENDING,
        }

    def _block(self, text: str | None) -> dict[str, object]:
        return {"type": "text", "text": text, "citations": None}

    def _says(self, reply: Reply) -> bool:
        return reply.text is not None and reply.finish != "refusal"

    def _counted(self, reply: Reply) -> int:
        return reply.output_tokens if self._says(reply) else 0


def _usage(read: int, written: int) -> Body:
    return {**_COUNTED, "input_tokens": read, "output_tokens": written}


API = Anthropic()
