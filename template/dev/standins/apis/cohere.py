"""Cohere's Chat API, version 2."""

from typing import ClassVar

from dev.standins.api import Api, Body, Reply, event


class Cohere(Api):
    """Content in blocks, events of many types, and counts of tokens that are floats."""

    base = "/cohere/v2"
    gateway_path = "cohere/v2"
    path = "/chat"
    request_id = "x-debug-trace-id"
    parameters = frozenset({"model", "messages", "max_tokens", "temperature", "stream"})
    _finish_reasons: ClassVar = {"stop": "COMPLETE", "length": "MAX_TOKENS", "refusal": "COMPLETE"}

    def error(self, status: int, message: str) -> Body:
        """An object with little but a message, whatever the status."""
        return {"id": f"standin-{status}", "message": message}

    def block(self) -> tuple[int, Body]:
        """A status of its own."""
        return 498, self.error(498, "A token is on the deny list.")

    def answer(self, reply: Reply) -> Body:
        """One block of content, or none."""
        content = None if reply.text is None else [{"type": "text", "text": reply.text}]
        return {
            "id": "standin",
            "finish_reason": self._finish_reasons[reply.finish],
            "message": {"role": "assistant", "content": content},
            "usage": self._usage(reply),
        }

    def opening(self, reply: Reply) -> str:
        """The message without content, and the start of the first block."""
        message = {"role": "assistant"}
        block = {"message": {"content": {"type": "text", "text": ""}}}
        start = self._event("content-start", index=0, delta=block)
        return self._event("message-start", id="standin", delta={"message": message}) + (
            "" if reply.text is None else start
        )

    def word(self, _reply: Reply, text: str) -> str:
        """A delta of the first block."""
        delta = {"message": {"content": {"text": text}}}
        return self._event("content-delta", index=0, delta=delta)

    def closing(self, reply: Reply) -> str:
        """The end of the block, and that of the message with reason and usage."""
        reason = self._finish_reasons[reply.finish]
        delta = {"finish_reason": reason, "usage": self._usage(reply)}
        end = self._event("content-end", index=0)
        return ("" if reply.text is None else end) + self._event("message-end", delta=delta)

    def failure(self, message: str) -> str:
        """The end of a message that is an error."""
        return self._event("message-end", delta={"finish_reason": "ERROR", "error": message})

    def _event(self, kind: str, **fields: object) -> str:
        return event({"type": kind, **fields}, kind)

    def _usage(self, reply: Reply) -> Body:
        counts = {
            "input_tokens": float(reply.input_tokens),
            "output_tokens": float(reply.output_tokens),
        }
        return {"billed_units": counts, "tokens": counts}


API = Cohere()
