"""Google's Gemini API."""

from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import unquote

from dev.standins.api import Api, Body, Question, Reply, event, objects, problem_of_list


class Google(Api):
    """The model in the path, answers of candidates of parts, and streams without an end."""

    base = "/google/v1beta"
    gateway_path = "google-ai-studio/v1beta"
    path = (
        r"/models/(?P<model>[^/]+)"
        r":(?P<method>generateContent|streamGenerateContent\?alt=sse)"
    )
    retry_after = None
    wrong_key = 400
    parameters = frozenset({"contents", "systemInstruction", "generationConfig"})
    _statuses: ClassVar = {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        429: "RESOURCE_EXHAUSTED",
        500: "INTERNAL",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }
    _finish_reasons: ClassVar = {"stop": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}

    def key(self, headers: Mapping[str, str]) -> str | None:
        """A header of its own."""
        return headers.get("x-goog-api-key")

    def problem(self, body: Body) -> str | None:
        """Roles are the API's own."""
        if problem := problem_of_list(body, "contents") or self.unknown(body):
            return problem
        roles = {content.get("role") for content in objects(body["contents"])}
        return None if roles <= {"user", "model"} else "contents: please use a valid role"

    def question(self, place: Mapping[str, str], body: Body) -> Question:
        """The model and whether to stream stand in the path."""
        system = body.get("systemInstruction")
        contents: list[Body] = [{**each, "role": "system"} for each in objects([system])]
        contents += objects(body["contents"])
        return Question(
            model=unquote(place["model"]),
            turns=[
                (str(content.get("role")), str(part.get("text")))
                for content in contents
                for part in objects(content.get("parts"))
            ],
            streamed=place["method"] != "generateContent",
        )

    def error(self, status: int, message: str) -> Body:
        """An object named error, with what else there is to say in its details."""
        patience = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.001s"}
        return self._error(status, message, patience if status in {429, 503} else None)

    def key_error(self, message: str) -> Body:
        """A bad request with a reason."""
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        info = {"@type": kind, "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        return self._error(self.wrong_key, message, info)

    def _error(self, status: int, message: str, detail: Body | None) -> Body:
        name = self._statuses.get(status, "UNKNOWN")
        error = {"code": status, "message": message, "status": name}
        return {"error": {**error, "details": [detail]} if detail else error}

    def block(self) -> tuple[int, Body]:
        """An answer with a reason in place of a candidate."""
        usage = {"promptTokenCount": 2, "totalTokenCount": 2}
        feedback = {"blockReason": "PROHIBITED_CONTENT"}
        return 200, {"promptFeedback": feedback, "usageMetadata": usage}

    def answer(self, reply: Reply) -> Body:
        """One candidate."""
        return self._answer(reply, reply.text, self._finish_reasons[reply.finish])

    def opening(self, reply: Reply) -> str:
        """A thought."""
        return event(self._answer(reply, "Hm.", None, thought=True))

    def word(self, reply: Reply, text: str) -> str:
        """A candidate with a piece of text."""
        return "" if reply.finish == "refusal" else event(self._answer(reply, text, None))

    def closing(self, reply: Reply) -> str:
        """A candidate with the finish reason."""
        return event(self._answer(reply, "", self._finish_reasons[reply.finish]))

    def failure(self, message: str) -> str:
        """The error in place of an answer."""
        return event(self.error(503, message))

    def _answer(
        self, reply: Reply, text: str | None, finish: str | None, **more: object
    ) -> dict[str, object]:
        candidate: dict[str, object] = {"index": 0}
        if text is not None and reply.finish != "refusal":
            candidate["content"] = {"role": "model", "parts": [{"text": text, **more}]}
        if finish:
            candidate["finishReason"] = finish
        return {
            "candidates": [candidate],
            "usageMetadata": {
                "promptTokenCount": reply.input_tokens,
                "candidatesTokenCount": reply.output_tokens,
                "totalTokenCount": reply.input_tokens + reply.output_tokens,
            },
            "modelVersion": reply.model,
            "responseId": "standin",
        }


API = Google()
