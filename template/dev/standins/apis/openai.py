"""OpenAI's chat completions."""

from typing import ClassVar

from dev.standins.api import Body, Reply
from dev.standins.completions import ChatCompletions


class OpenAI(ChatCompletions):
    """Refusals in a place of their own."""

    base = "/openai/v1"
    gateway_path = "openai"
    request_id = "x-request-id"
    parameters = frozenset(
        {"model", "messages", "max_completion_tokens", "temperature", "stream", "stream_options"}
    )
    _types: ClassVar = {429: "requests", 500: "server_error", 503: "server_error"}
    _codes: ClassVar = {401: "invalid_api_key", 429: "rate_limit_exceeded"}

    def error(self, status: int, message: str) -> Body:
        """An object named error."""
        kind = self._types.get(status, "invalid_request_error")
        code = self._codes.get(status)
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def block(self) -> tuple[int, Body]:
        """A bad request with a code."""
        message = "Invalid prompt: it was flagged as potentially violating our usage policy."
        kind, code = "invalid_request_error", "invalid_prompt"
        return 400, {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def message(self, reply: Reply) -> Body:
        """Content or refusal."""
        refused = reply.finish == "refusal"
        content, refusal = (None, reply.text) if refused else (reply.text, None)
        return {"role": "assistant", "content": content, "refusal": refusal}

    def choice(self, reply: Reply) -> Body:
        """As the others', with the probabilities that nobody asked for."""
        return {**super().choice(reply), "logprobs": None}

    def word(self, reply: Reply, text: str) -> str:
        """A chunk with content, or with refusal."""
        return self.chunk(reply, {"refusal" if reply.finish == "refusal" else "content": text})


API = OpenAI()
