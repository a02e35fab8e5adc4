"""POST /v1/jobs: a chat that is answered later, by whoever takes it from the queue."""

import asyncio
import hashlib
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from service.chat import ARCHIVE, Chat, ChatBody, chat
from service.context import CONSUMERS, ROUTES, Consumer, Context
from service.idempotency import idempotency_key, new_chat_id
from service.log import log, request_id, where
from service.problems import is_callers_fault
from service.providers.base import ProviderError, ProviderTimeoutError
from service.settings import binding
from service.web import Problem, Request, Response, Route, Unavailable, json_response, read_json

MAX_JOB_BYTES = 120_000
"""Of the 128 kB that a message of Cloudflare's queues may have, with room for what they add."""

FIRST_DELAY = 10
"""Seconds until a job that failed is tried again; each further time it is twice as long."""
MAX_DELAY = 12 * 60 * 60
"""Seconds that a queue keeps a message back at most."""

MAX_SECONDS = 14 * 60
"""How long a job may take: the platform ends a consumer after 15 minutes."""
MAX_TIMEOUTS = 2
"""How often a job may time out before it is given up. Each time has to be paid for."""

IsStored = Callable[[str, str], Awaitable[bool]]
"""Whether a caller has a chat with this id."""


class JobsUnavailable(Unavailable):
    """The queue did not take a job; the cause says why."""

    answer = "Jobs cannot be taken at the moment."


class JobNotStoredError(Exception):
    """A job was answered and its answer is lost: nobody listens, it had to be stored."""


class Producer(Protocol):
    """What the service uses of a queue's binding, as the Workers SDK presents it to Python."""

    async def send(self, body: str, options: Mapping[str, object], /) -> object: ...


class JobMessage(Protocol):
    """A message as the queue delivers it; `attempts` begins with 1."""

    id: str
    body: str
    attempts: int

    def ack(self) -> object: ...

    def retry(self, options: Mapping[str, object], /) -> object: ...


class Batch(Protocol):
    """What is delivered at once."""

    @property
    def messages(self) -> Sequence[JobMessage]: ...


class Job(BaseModel):
    """What is in a message: whose chat it is, and the id that it is going to have.

    `timeouts` counts how often no answer came in time.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    id: str
    owner: str
    chat: ChatBody
    timeouts: int = 0


class Jobs:
    """Takes jobs and does them; the queue gives up on those that keep failing (wrangler.toml)."""

    def __init__(self, queue: Producer, chat: Chat, *, is_stored: IsStored | None = None) -> None:
        self._queue = queue
        self._chat = chat
        self._is_stored = is_stored

    async def take(self, request: Request) -> Response:
        """202 with the id of the chat to be. The same Idempotency-Key gives the same id.

        Problems: those of `read_json`, 422 for what no provider could answer and for a key that is
        none, 413 for a job that no message can carry.
        """
        body = await read_json(request, ChatBody)
        if body.stream:
            error = {"pointer": "#/stream", "detail": "Input should be false: nobody listens"}
            raise Problem(422, "The request has invalid fields.", errors=[error])
        self._chat.provider_for(body)
        job = Job(id=_id(request), owner=request.caller, chat=body)
        text = job.model_dump_json()
        if len(text.encode()) > MAX_JOB_BYTES:
            raise Problem(413, f"A job may have {MAX_JOB_BYTES} bytes.")
        await self._send(text)
        return json_response({"id": job.id}, 202)

    async def _send(self, text: str, **options: object) -> None:
        try:
            await self._queue.send(text, {"contentType": "text", **options})
        except Exception as error:  # JavaScript's errors have no class in common.
            raise JobsUnavailable from error

    async def consume(self, batch: Batch) -> None:
        """Do the jobs of a batch; each is acknowledged, or tried again, by itself."""
        await asyncio.gather(*(self._do(message) for message in batch.messages))

    async def _do(self, message: JobMessage) -> None:
        try:
            job = Job.model_validate_json(message.body)
        except ValidationError:
            log("error", "job_malformed", message=message.id)
            _give_up(message)
            return
        request_id.set(job.id)
        if job.timeouts >= MAX_TIMEOUTS:
            log("error", "job_timed_out", timeouts=job.timeouts)
            _give_up(message)
            return
        try:
            if not await self._is_done(job):
                request = Request.of_nobody("/v1/jobs", job.id, job.owner)
                async with asyncio.timeout(MAX_SECONDS):
                    answer = await self._chat.complete(request, job.chat, chat_id=job.id)
                if answer.stored is False:
                    raise JobNotStoredError  # noqa: TRY301 - it is tried again as other failures are
        except Exception as error:  # noqa: BLE001 - whatever it is, it has its end here
            if is_callers_fault(error):  # each time that a provider is asked; the log has said why
                message.ack()
                return
            if _is_timeout(error) and await self._sent_again(job):
                message.ack()
                return
            delay = _delay(message.attempts, error)
            kind = type(error).__name__
            log("warning", "job_failed", error=kind, retry_after_s=delay, where=where(error))
            message.retry({"delaySeconds": delay})
        else:
            log("info", "job_done", attempts=message.attempts)
            message.ack()

    async def _sent_again(self, job: Job) -> bool:
        """Whether the queue took the job anew: a message cannot be changed, nor count timeouts."""
        again = job.model_copy(update={"timeouts": job.timeouts + 1})
        try:
            await self._send(again.model_dump_json(), delaySeconds=FIRST_DELAY)
        except JobsUnavailable:
            return False
        log("warning", "job_timeout", timeouts=again.timeouts)
        return True

    async def _is_done(self, job: Job) -> bool:
        """Queues deliver a message at least once, so sometimes twice."""
        return self._is_stored is not None and await self._is_stored(job.owner, job.id)


def jobs(context: Context) -> Jobs:
    archive = context.find(ARCHIVE)
    is_stored = archive.has if archive else None
    return Jobs(binding(context.env, "JOBS"), context.get(chat), is_stored=is_stored)


def routes(context: Context) -> Sequence[Route]:
    return [Route("POST", "/v1/jobs", lambda request: context.get(jobs).take(request))]


def consumers(context: Context) -> Mapping[str, Consumer]:
    return {"jobs": lambda batch: context.get(jobs).consume(batch)}


feature = (ROUTES.by(routes), CONSUMERS.by(consumers))


def _id(request: Request) -> str:
    key = idempotency_key(request)
    if key is None:
        return new_chat_id()
    digest = hashlib.sha256(f"{request.caller}\0{key}".encode()).hexdigest()
    return f"chat_{digest[:32]}"


def _give_up(message: JobMessage) -> None:
    """Have the queue deliver it as often as wrangler.toml says, and move it to the dead letters."""
    message.retry({"delaySeconds": 0})


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, TimeoutError | ProviderTimeoutError)


def _delay(attempts: int, error: Exception) -> int:
    wished: float | None = None
    match error:
        case ProviderError():
            wished = error.retry_after
        case Problem():  # such as a quota that is used up until tomorrow
            wished = float(error.headers.get("retry-after", 0))
    backoff = FIRST_DELAY << min(attempts - 1, 12)
    return min(max(backoff, math.ceil(wished or 0)), MAX_DELAY)
