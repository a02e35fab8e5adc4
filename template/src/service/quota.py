"""How much a caller may use in a day (UTC): requests and tokens, counted before they are spent.

Nobody knows a call's tokens before it ends. What it may take at most, roughly, is reserved first,
and set right afterwards, also where the client has left. Where that fails the reservation stands:
an account may be short, never over.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import Protocol, TypeVar

from pydantic import Field

from service.chat import RESERVE, Reserve, Settle
from service.context import ROUTES, Context
from service.departure import uninterrupted
from service.ledger import Limits, Reserved, Used
from service.log import log, where
from service.providers.base import ChatRequest, Usage
from service.settings import Settings, binding
from service.web import Problem, Request, Response, Route, Unavailable, json_response

TIMEOUT_SECONDS = 2.0
BYTES_A_TOKEN = 4
"""Of text in UTF-8: a rule of thumb, for as long as the provider has not counted."""
OUTPUT_TOKENS = 1024
"""Reserved for the answer to a request that sets no `max_tokens`."""

T = TypeVar("T")


class QuotaSettings(Settings):
    """What one caller may use in a day."""

    requests: int = Field(alias="QUOTA_REQUESTS_PER_DAY", ge=1)
    tokens: int = Field(alias="QUOTA_TOKENS_PER_DAY", ge=1)


class QuotaUnavailable(Unavailable):
    """Nobody can tell how much is left.

    Unlike the rate limit the quota is about money: without it nothing is spent.
    """

    answer = "The quota cannot be checked at the moment."


class Account(Protocol):
    """A `Ledger` in its Durable Object, called from outside."""

    async def today(self) -> Used: ...

    async def reserve(self, limits: Limits, tokens: int, /) -> Reserved: ...

    async def correct(self, date: str, requests: int, tokens: int, /) -> Used: ...


class Accounts(Protocol):
    """What the service uses of the binding."""

    def getByName(self, name: str, /) -> Account:  # noqa: N802 - the platform's name
        ...


class Quota:
    """Lets callers spend what is theirs. `clock` tells epoch seconds; `timeout` is in seconds."""

    def __init__(
        self,
        settings: QuotaSettings,
        accounts: Accounts,
        clock: Callable[[], float] = time.time,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self._limits = Limits(requests=settings.requests, tokens=settings.tokens)
        self._accounts = accounts
        self._clock = clock
        self._timeout = timeout

    async def report(self, request: Request) -> Response:
        """What the caller used today, and what is left."""
        return json_response(self._told(await self._asked(self._account(request.caller).today())))

    async def reserve(self, caller: str, request: ChatRequest) -> Settle:
        """Take what the request may use from the caller's account; what comes back settles it.

        Problems: 429 where it is not there. Raises QuotaUnavailable.
        """
        account = self._account(caller)
        asked = sum(_tokens(message.content) for message in request.messages)
        tokens = asked + (request.max_tokens or OUTPUT_TOKENS)

        async def correct(date: str, used: int | None) -> None:
            requests, spent = (-1, 0) if used is None else (0, used)
            try:
                await self._asked(account.correct(date, requests, spent - tokens))
            except QuotaUnavailable as error:
                cause = error.__cause__ or error
                log("error", "quota_failed", error=type(cause).__name__, where=where(cause))

        async def give_back(reserved: Reserved) -> None:
            if reserved["admitted"]:
                await correct(reserved["date"], None)

        async def settle(usage: Usage, text: str) -> None:
            await correct(reserved["date"], _used(usage, text, asked))

        reserving = self._asked(account.reserve(self._limits, tokens))
        reserved = await uninterrupted(reserving, give_back)
        if not reserved["admitted"]:
            raise self._refusal(reserved)
        return settle

    def _account(self, caller: str) -> Account:
        # However long the subject is; and nobody's name is an object's.
        return self._accounts.getByName(sha256(caller.encode(errors="surrogatepass")).hexdigest())

    async def _asked(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await answer
        except Exception as error:
            raise QuotaUnavailable("the account has no answer") from error

    def _refusal(self, used: Used) -> Problem:
        wait = ceil(_midnight(used).timestamp() - self._clock())
        what = "requests" if used["requests"] >= self._limits["requests"] else "tokens"
        return Problem(
            429,
            f"Today's quota has too few {what} left for this.",
            headers={"retry-after": str(max(1, wait))},
            quota=self._told(used),
        )

    def _told(self, used: Used) -> dict[str, object]:
        def told(limit: int, spent: int) -> dict[str, int]:
            return {"limit": limit, "used": spent, "left": max(0, limit - spent)}

        return {
            "resets_at": _midnight(used).isoformat().replace("+00:00", "Z"),
            "requests": told(self._limits["requests"], used["requests"]),
            "tokens": told(self._limits["tokens"], used["tokens"]),
        }


def quota(context: Context) -> Quota:
    return Quota(context.settings(QuotaSettings), binding(context.env, "QUOTA"))


def reserve(context: Context) -> Reserve:
    return context.get(quota).reserve


def routes(context: Context) -> Sequence[Route]:
    return [Route("GET", "/v1/quota", lambda request: context.get(quota).report(request))]


feature = (ROUTES.by(routes), RESERVE.by(reserve))


def _used(usage: Usage, text: str, asked: int) -> int | None:
    """A call's tokens, estimated where the provider told none; None where no answer came."""
    if usage.input_tokens is None and usage.output_tokens is None and not text:
        return None
    input_tokens = asked if usage.input_tokens is None else usage.input_tokens
    output_tokens = _tokens(text) if usage.output_tokens is None else usage.output_tokens
    return input_tokens + output_tokens


def _tokens(text: str) -> int:
    return ceil(len(text.encode()) / BYTES_A_TOKEN)


def _midnight(used: Used) -> datetime:
    """When the day ends."""
    next_day = date.fromisoformat(used["date"]) + timedelta(days=1)
    return datetime(next_day.year, next_day.month, next_day.day, tzinfo=UTC)
