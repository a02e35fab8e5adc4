"""Chat completions, as OpenAI and others have them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from dev.standins.api import Api, Body, Question, Reply, event


class ChatCompletions(Api):
    """The format as most have it: no place for refusals, and usage in a stream on request."""

    path = "/chat/completions"
    parameters = frozenset(
        {"model", "messages", "max_tokens", "temperature", "stream", "stream_options"}
    )
    finish_reasons: ClassVar = {"stop": "stop", "length": "length", "refusal": "stop"}

    def question(self, place: Mapping[str, str], body: Body) -> Question:
        """As the others', and whether usage is wanted in a stream."""
        options = body.get("stream_options")
        wanted = isinstance(options, dict) and options.get("include_usage") is True
        return replace(super().question(place, body), usage_wanted=wanted)

    def error(self, status: int, message: str) -> Body:
        """An object named error."""
        kind = "server_error" if status >= 500 else "invalid_request_error"
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    def message(self, reply: Reply) -> Body:
        """The message of a whole answer."""
        return {"role": "assistant", "content": reply.text}

    def answer(self, reply: Reply) -> Body:
        """One choice."""
        return {
            **self.head(reply, "chat.completion"),
            "choices": [self.choice(reply)],
            "usage": self.usage(reply),
        }

    def choice(self, reply: Reply) -> Body:
        """The one choice of a whole answer."""
        reason = self.finish_reasons[reply.finish]
        return {"index": 0, "message": self.message(reply), "finish_reason": reason}

    def opening(self, reply: Reply) -> str:
        """A chunk with the role."""
        return self.chunk(reply, {"role": "assistant", "content": ""})

    def word(self, reply: Reply, text: str) -> str:
        """A chunk with content."""
        return self.chunk(reply, {"content": text})

    def closing(self, reply: Reply) -> str:
        """A chunk with the finish reason, one with the usage if it was asked for, and the end."""
        head = self.head(reply, "chat.completion.chunk")
        usage = {**head, "choices": [], "usage": self.usage(reply)}
        return (
            self.chunk(reply, {}, self.finish_reasons[reply.finish])
            + (event(usage) if reply.question.usage_wanted else "")
            + event("[DONE]")
        )

    def failure(self, message: str) -> str:
        """The error in place of a chunk."""
        return event(self.error(500, message))

    def chunk(self, reply: Reply, delta: Body, finish: str | None = None, **more: object) -> str:
        """The event of a chunk."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event({**self.head(reply, "chat.completion.chunk"), "choices": [choice], **more})

    def head(self, reply: Reply, kind: str) -> dict[str, object]:
        """What every answer and chunk begins with."""
        return {"id": "cmpl-standin", "object": kind, "created": 0, "model": reply.model}

    def usage(self, reply: Reply) -> dict[str, int]:
        """The counts of tokens."""
        return {
            "prompt_tokens": reply.input_tokens,
            "completion_tokens": reply.output_tokens,
            "total_tokens": reply.input_tokens + reply.output_tokens,
        }
