"""An endpoint with OpenAI's chat completions that answers errors as OpenRouter does."""

from dev.standins.api import Body
from dev.standins.completions import ChatCompletions


class OpenAICompatible(ChatCompletions):
    """The format that all of them have, below whichever path; codes that are statuses."""

    base = "/openai_compatible"
    gateway_path = "standin"
    path = r"(?:/[\w.-]+)*/chat/completions"
    request_id = "x-request-id"

    def error(self, status: int, message: str) -> Body:
        """An object named error."""
        return {"error": {"message": message, "code": status}}

    def block(self) -> tuple[int, Body]:
        """What is forbidden, with a sentence that tells it from anything else that is."""
        message = "Your chosen model requires moderation and your input was flagged."
        return 403, self.error(403, message)


API = OpenAICompatible()
