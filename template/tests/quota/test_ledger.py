"""A ledger's numbers, over a dict: the service's own tests have them in a real object's storage."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from service.ledger import Ledger, Limits
from tests.support.memory_objects import MemoryObject, MemoryStorage

NOON = 1_800_000_000 // 86_400 * 86_400 + 43_200
DAY = 86_400
LIMITS = Limits(requests=3, tokens=100)

COUNTS = st.integers(min_value=0, max_value=200)


def ledger(storage: MemoryStorage, now: float = NOON) -> Ledger:
    return Ledger(storage, lambda: now)


@given(st.lists(COUNTS, max_size=10))
def test_no_more_is_admitted_than_there_is(wishes: list[int]) -> None:
    async def run() -> None:
        storage = MemoryStorage()
        answers = [(await ledger(storage).reserve(LIMITS, tokens), tokens) for tokens in wishes]
        admitted = [tokens for answer, tokens in answers if answer["admitted"]]
        used = await ledger(storage).today()
        assert (used["requests"], used["tokens"]) == (len(admitted), sum(admitted))
        assert used["requests"] <= LIMITS["requests"]
        assert used["tokens"] <= LIMITS["tokens"]

    asyncio.run(run())


async def test_who_comes_at_once_does_not_get_more() -> None:
    object_ = MemoryObject()
    answers = await asyncio.gather(*(object_.reserve(LIMITS, 1) for _ in range(10)))
    assert [answer["admitted"] for answer in answers].count(True) == LIMITS["requests"]


async def test_a_smaller_wish_may_have_what_is_left() -> None:
    storage = MemoryStorage()
    await ledger(storage).reserve(LIMITS, 90)
    assert not (await ledger(storage).reserve(LIMITS, 11))["admitted"]
    assert (await ledger(storage).reserve(LIMITS, 10))["admitted"]


@given(COUNTS, st.integers(min_value=-200, max_value=200))
def test_a_correction_leaves_nothing_below_zero(tokens: int, change: int) -> None:
    async def run() -> None:
        storage = MemoryStorage()
        reserved = await ledger(storage).reserve(Limits(requests=1, tokens=200), tokens)
        used = await ledger(storage).correct(reserved["date"], -1, change)
        assert used == await ledger(storage).today()
        assert (used["requests"], used["tokens"]) == (0, max(0, tokens + change))

    asyncio.run(run())


async def test_midnight_gives_everything_back_and_what_was_reserved_before_it_is_over() -> None:
    storage = MemoryStorage()
    reserved = await ledger(storage).reserve(LIMITS, 100)
    await ledger(storage, NOON + DAY).reserve(LIMITS, 60)
    used = await ledger(storage, NOON + DAY).correct(reserved["date"], -1, -100)
    assert (used["requests"], used["tokens"]) == (1, 60)
