"""POST /v1/summaries, GET /v1/summaries/{id}: long texts, summarised step by step by a workflow.

What a step has given is kept by the platform, so that a Worker that is replaced half-way, or a
provider that is down for an hour, costs no step that was done.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Protocol
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from service.chat import RESERVE, Chat, ChatBody, ChatSettings
from service.context import ROUTES, Context
from service.log import request_id
from service.problems import explain, is_callers_fault
from service.prompts import Prompt, Variables
from service.providers.base import Message, ProviderError, Text
from service.providers.chosen import chosen
from service.settings import binding
from service.telemetry.events import telemetry
from service.web import Problem, Request, Response, Route, Unavailable, json_response, read_json

ROUTE = "/v1/summaries"
MAX_TEXT_CHARS = 200_000
CHUNK_CHARS = 12_000
"""What is summarised at a time; an answer about more of it would lose the details."""

STEP: Mapping[str, object] = {
    "retries": {"limit": 5, "delay": "10 seconds", "backoff": "exponential"},
    "timeout": "30 minutes",
}
"""How the platform repeats a step that fails."""

Step = Callable[[str, Callable[[], Awaitable[str]], Mapping[str, object]], Awaitable[str]]
"""Does what is to be done under a name, or has its result if it was done before.

What fails is repeated as the configuration says, but not after FinalError.
"""


class FinalError(Exception):
    """A step failed, and would again. The message may be shown."""


class SummariesUnavailable(Unavailable):
    """The workflow cannot be reached; the cause says why."""

    answer = "Summaries cannot be made at the moment."


class Instance(Protocol):
    """One run of the workflow."""

    async def status(self) -> Mapping[str, Any]: ...


class Workflow(Protocol):
    """What the service uses of a workflow's binding, as the Workers SDK presents it to Python."""

    async def create(self, options: Mapping[str, object], /) -> Instance: ...

    async def get(self, instance_id: str, /) -> Instance: ...


class SummaryBody(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    text: Annotated[Text, Field(max_length=MAX_TEXT_CHARS)]
    provider: str | None = None


class SummaryVariables(Variables):
    """What the prompt speaks of."""

    part: str
    parts: str


class Summaries:
    """Starts the workflow and tells of it; `run` is what the workflow does."""

    def __init__(self, workflow: Workflow, chat: Chat) -> None:
        self._workflow = workflow
        self._chat = chat
        self._prompt = Prompt.load("summary", SummaryVariables)

    async def start(self, request: Request) -> Response:
        """202 with the summary's id. Problems: those of `read_json`, 422 for no such provider."""
        body = await read_json(request, SummaryBody)
        self._chat.provider_for(self._question(body.text, body.provider))
        instance_id = f"{_mark(request.caller)}-{uuid4().hex}"
        params = {**body.model_dump(), "caller": request.caller}
        try:
            await self._workflow.create({"id": instance_id, "params": params})
        except Exception as error:  # JavaScript's errors have no class in common.
            raise SummariesUnavailable from error
        return json_response({"id": instance_id, "status": "queued"}, 202)

    async def get(self, request: Request) -> Response:
        """How far it is, and the summary when it is there. Problems: 404."""
        instance_id = request.path_params["id"]
        # The id says whose it is: nobody else's is looked for.
        if not re.fullmatch(rf"{_mark(request.caller)}-[0-9a-f]{{32}}", instance_id):
            raise _not_found()
        try:
            status = await (await self._workflow.get(instance_id)).status()
        except Exception as error:
            if "not_found" in str(error):
                raise _not_found() from None
            raise SummariesUnavailable from error
        answer = {"id": instance_id, "status": status["status"]}
        if status["status"] == "complete":
            answer["summary"] = status["output"]["summary"]
        return json_response(answer)

    async def run(self, instance_id: str, params: Mapping[str, Any], step: Step) -> dict[str, str]:
        """Summarise each chunk in a step of its own, and then the summaries, until one is left."""
        request_id.set(instance_id)
        texts, level = chunks(params["text"]), 1
        while True:
            texts = [
                await step(
                    f"level {level}, part {number} of {len(texts)}",
                    self._summary(instance_id, params, text, number, len(texts)),
                    STEP,
                )
                for number, text in enumerate(texts, start=1)
            ]
            if len(texts) == 1:
                return {"summary": texts[0]}
            texts, level = _together(texts), level + 1

    def _summary(
        self, instance_id: str, params: Mapping[str, Any], text: str, part: int, parts: int
    ) -> Callable[[], Awaitable[str]]:
        body = self._question(text, params["provider"], part, parts)

        async def summarise() -> str:
            request = Request.of_nobody(ROUTE, instance_id, params["caller"])
            try:
                completion = await self._chat.complete(request, body)
            except Problem as problem:  # such as a quota that is used up until tomorrow
                raise FinalError(problem.detail) from None
            except ProviderError as error:
                if is_callers_fault(error):
                    raise FinalError(str(error)) from None
                raise
            return completion.text

        return summarise

    def _question(self, text: str, provider: str | None, part: int = 1, parts: int = 1) -> ChatBody:
        prompt = self._prompt.render(SummaryVariables(part=str(part), parts=str(parts)))
        messages = (Message(role="system", content=prompt), Message(role="user", content=text))
        return ChatBody(messages=messages, provider=provider)


def summaries(context: Context) -> Summaries:
    # Its questions are its own: no system prompt before them, and no chat is kept of them.
    chat = Chat(
        context.settings(ChatSettings),
        chosen(context.env, context.http),
        context.get(telemetry),
        explain=context.get(explain),
        reserve=context.find(RESERVE),
    )
    return Summaries(binding(context.env, "SUMMARIES"), chat)


def routes(context: Context) -> Sequence[Route]:
    return [
        Route("POST", "/v1/summaries", lambda request: context.get(summaries).start(request)),
        Route("GET", "/v1/summaries/{id}", lambda request: context.get(summaries).get(request)),
    ]


feature = (ROUTES.by(routes),)


def chunks(text: str, most: int = CHUNK_CHARS) -> list[str]:
    """The text in pieces of at most so many characters, cut where it breaks by itself.

    Together they are the text. It is cut behind a paragraph, else a line, else a word, if one ends
    in the second half of what fits.
    """
    found: list[str] = []
    rest = text
    while len(rest) > most:
        end = most
        for separator in ("\n\n", "\n", " "):
            place = rest.rfind(separator, most // 2, most - len(separator) + 1)
            if place >= 0:
                end = place + len(separator)
                break
        found.append(rest[:end])
        rest = rest[end:]
    return [*found, rest]


def _together(summaries: Sequence[str]) -> list[str]:
    """The summaries as one text again, shorter than the texts that they are of."""
    joined = chunks("\n\n".join(summaries))
    # A model that answers at more length than it was asked would have this go on for ever.
    return joined if len(joined) < len(summaries) else ["\n\n".join(summaries)[:CHUNK_CHARS]]


def _mark(caller: str) -> str:
    return hashlib.sha256(caller.encode()).hexdigest()[:16]


def _not_found() -> Problem:
    return Problem(404, "You have no summary with this id.")
