"""Chat completions, as OpenAI and Mistral both have them."""

from typing import ClassVar

from dev.standins.api import Api, Body, Reply, event


class ChatCompletions(Api):
    """The format of the answers; how much of it OpenAI and Mistral share ends there."""

    finish_reasons: ClassVar = {"stop": "stop", "length": "length", "refusal": "stop"}

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
