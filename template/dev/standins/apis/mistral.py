"""Mistral's chat completions."""

from typing import ClassVar

from dev.standins.api import Body, Reply, event
from dev.standins.completions import ChatCompletions


class Mistral(ChatCompletions):
    """No place for refusals, and usage in the last chunk of every stream."""

    base = "/mistral/v1"
    gateway_path = "mistral/v1"
    request_id = "mistral-correlation-id"
    wrong_body = 422
    parameters = frozenset({"model", "messages", "max_tokens", "temperature", "stream"})
    _types: ClassVar = {429: "rate_limited", 500: "internal_server_error"}

    def error(self, status: int, message: str) -> Body:
        """A list of what is wrong with the request, or an object."""
        if status == self.wrong_body:
            return {"detail": [{"type": "value_error", "loc": ["body"], "msg": message}]}
        return {
            "object": "error",
            "message": message,
            "type": self._types.get(status, "invalid_request_error"),
            "param": None,
            "code": None,
            "raw_status_code": status,
        }

    def block(self) -> tuple[int, Body]:
        """What is forbidden, with nothing that tells it from anything else that is."""
        return 403, self.error(403, "Blocked.")

    def closing(self, reply: Reply) -> str:
        """A chunk with the finish reason and the usage, and the end."""
        finish = self.finish_reasons[reply.finish]
        return self.chunk(reply, {"content": ""}, finish, usage=self.usage(reply)) + event("[DONE]")


API = Mistral()
