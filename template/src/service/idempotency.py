"""Idempotency-Key: a request that is sent again is answered once.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from types import TracebackType
from typing import Protocol, Self, runtime_checkable
from uuid import uuid4

from pydantic import BaseModel

from service.departure import uninterrupted
from service.log import log, where
from service.providers.base import Completion
from service.web import Problem, Request

MAX_KEY_CHARS = 255
LEASE_SECONDS = 2 * 60 * 60
"""After this time a key without an answer is free again: the isolate that held it has died.

It has to be longer than a request lasts that asks every provider in vain, until each call's
timeout; else two could be under way for one key.
"""
RETRY_AFTER = "5"
"""Seconds until a caller asks again whether the first request has its answer."""


def idempotency_key(request: Request) -> str | None:
    """The request's key, or None. Raises Problem: 422 for an empty key or one that is too long."""
    key: str | None = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARS:
        raise _invalid(f"needs 1 to {MAX_KEY_CHARS} characters")
    return key


def new_chat_id() -> str:
    return f"chat_{uuid4().hex}"


@dataclass(frozen=True)
class Holder:
    """What a key stands for: a request, by its fingerprint, and its chat.

    `answer` is the chat's, or None while there is none.
    """

    chat_id: str
    fingerprint: str
    answer: Completion | None = None


@runtime_checkable
class Claims(Protocol):
    """Remembers which keys are taken, each for its owner.

    An archive of chats that has these methods also keeps the keys of its chats.
    """

    async def claim(self, owner: str, key: str, holder: Holder, /) -> Holder | None:
        """Take a key for `holder` where it is free, and say who has it now.

        None where whoever had it gave it back meanwhile.
        """

    async def release(self, owner: str, key: str, chat_id: str, /) -> None:
        """Free a key that was taken for this chat, unless the chat is stored."""


class Claim:
    """The right to answer a request: nobody else asks a provider for it meanwhile.

    `answer` is there where the request was answered before. At the end the key is given back,
    unless the answer `is_stored`.
    """

    def __init__(
        self,
        chat_id: str,
        release: Callable[[], Awaitable[None]] | None = None,
        answer: Completion | None = None,
    ) -> None:
        self.chat_id = chat_id
        self.answer = answer
        self.is_stored = False
        self._release = release

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._release and not self.is_stored:
            await uninterrupted(_given_back(self._release))


class Keys:
    """Has each request with a key answered once, if the `archive` of chats has `Claims`."""

    def __init__(self, archive: object = None) -> None:
        self._claims = archive if isinstance(archive, Claims) else None

    async def claim(self, request: Request, body: BaseModel) -> Claim:
        """Take the request's key, if it has one.

        Problems: 409 while another request with the key is under way, 422 for a key that was used
        with another body, or that cannot be one. Raises what `Claims` raises.
        """
        key = idempotency_key(request) if self._claims else None
        if key is None or self._claims is None:
            return Claim(new_chat_id())
        claims, owner, digest = self._claims, request.caller, _digest(key)
        # What a request leaves out stays the same when a later version adds a field.
        mine = Holder(new_chat_id(), _digest(body.model_dump_json(exclude_defaults=True)))

        async def release() -> None:
            await claims.release(owner, digest, mine.chat_id)

        async def undo(_holder: Holder | None) -> None:
            await _given_back(release)

        holder = await uninterrupted(claims.claim(owner, digest, mine), undo)
        if holder == mine:
            return Claim(mine.chat_id, release)
        if holder and holder.fingerprint != mine.fingerprint:
            raise _invalid("was used with another body")
        if holder and holder.answer:
            return Claim(holder.chat_id, answer=holder.answer)
        detail = "A request with this Idempotency-Key is being answered."
        raise Problem(409, detail, headers={"retry-after": RETRY_AFTER})


async def _given_back(release: Callable[[], Awaitable[None]]) -> None:
    try:
        await release()
    except Exception as error:  # noqa: BLE001 - it becomes free by itself, only later
        log("warning", "key_not_released", error=type(error).__name__, where=where(error))


def _digest(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()


def _invalid(detail: str) -> Problem:
    errors = [{"header": "Idempotency-Key", "detail": detail}]
    return Problem(422, "The request has invalid fields.", errors=errors)
