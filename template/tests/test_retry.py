"""The retry decorator. Time and chance are given: nothing here waits."""

import asyncio
import functools
import inspect
import math
import traceback
from collections.abc import AsyncIterator, Callable
from typing import assert_type

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.retry import Retry, retry


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now

    def policy(
        self,
        max_attempts: int = 3,
        *,
        jitter: float = 1.0,
        exceptions: tuple[type[Exception], ...] = (Exception,),
        retry_if: Callable[[Exception], bool] | None = None,
        max_delay: float = 60.0,
        budget: float | None = None,
        on_retry: Callable[[int, Exception, float], None] | None = None,
    ) -> Retry:
        return Retry(
            max_attempts,
            exceptions=exceptions,
            retry_if=retry_if,
            max_delay=max_delay,
            budget=budget,
            on_retry=on_retry,
            sleep=self.sleep,
            clock=self.clock,
            random=lambda: jitter,
        )


@pytest.fixture
def time() -> Time:
    return Time()


class Flaky:
    """Fails with the errors it was given, one a call, then answers with its argument."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def ask(self, answer: str = "fine") -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return answer


class BusyError(Exception):
    def __init__(self, retry_after: object) -> None:
        self.retry_after = retry_after


async def test_fails_twice_and_then_succeeds(time: Time) -> None:
    flaky = Flaky(OSError(), OSError())
    assert await time.policy()(flaky.ask)("hello") == "hello"
    assert flaky.calls == 3


async def test_waits_grow_by_the_backoff_up_to_the_cap(time: Time) -> None:
    flaky = Flaky(*[OSError()] * 5)
    await time.policy(6, max_delay=5)(flaky.ask)()
    assert time.waits == [1, 2, 4, 5, 5]


@given(st.floats(0, 1, exclude_max=True), st.integers(2, 200))
async def test_jitter_is_full_and_no_wait_is_over_its_bound(jitter: float, attempts: int) -> None:
    time = Time()
    flaky = Flaky(*[OSError()] * (attempts - 1))
    await time.policy(attempts, jitter=jitter)(flaky.ask)()
    assert time.waits == [jitter * min(2.0**n, 60) for n in range(attempts - 1)]


async def test_the_last_error_comes_out_as_itself_with_its_attempts_noted(time: Time) -> None:
    errors = [OSError("first"), OSError("second")]
    with pytest.raises(OSError, match="second") as caught:
        await time.policy(2)(Flaky(*errors).ask)()
    assert caught.value is errors[1]
    assert "gave up after 2 of 2 attempts" in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


async def test_other_exceptions_are_not_retried(time: Time) -> None:
    flaky = Flaky(KeyError("a bug"))
    with pytest.raises(KeyError):
        await time.policy(exceptions=(OSError,))(flaky.ask)()
    assert flaky.calls == 1


async def test_the_predicate_decides_among_the_exceptions(time: Time) -> None:
    flaky = Flaky(OSError("again"), OSError("never"))
    with pytest.raises(OSError, match="never"):
        await time.policy(9, retry_if=lambda error: str(error) == "again")(flaky.ask)()
    assert flaky.calls == 2


@pytest.mark.parametrize("error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit()])
async def test_cancellation_and_exits_are_never_retried(time: Time, error: BaseException) -> None:
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        await time.policy()(flaky.ask)()
    assert flaky.calls == 1


async def test_cancelling_a_wait_ends_it() -> None:
    flaky = Flaky(OSError())
    waiting = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(Retry(sleep=sleep)(flaky.ask)())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert flaky.calls == 1


@pytest.mark.parametrize(
    ("retry_after", "wait"), [(30, 30), (0.25, 1), (60, 60), (-5, 1), (math.nan, 1), ("9", 1)]
)
async def test_an_errors_retry_after_is_waited_for(
    time: Time, retry_after: object, wait: float
) -> None:
    await time.policy()(Flaky(BusyError(retry_after)).ask)()
    assert time.waits == [wait]


@pytest.mark.parametrize(
    ("retry_after", "budget"), [(61, None), (math.inf, None), (38, 20), (20.5, 20), (math.inf, 1e9)]
)
async def test_a_retry_after_that_does_not_fit_ends_the_attempts_at_once(
    time: Time, retry_after: float, budget: float | None
) -> None:
    flaky = Flaky(BusyError(retry_after))
    with pytest.raises(BusyError):
        await time.policy(budget=budget)(flaky.ask)()
    assert (flaky.calls, time.waits) == (1, [])


async def test_a_retry_after_beyond_the_longest_backoff_is_waited_for_within_the_budget(
    time: Time,
) -> None:
    await time.policy(budget=20, max_delay=8)(Flaky(BusyError(12)).ask)()
    assert time.waits == [12]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=9), st.floats(0, 100), st.floats(0.1, 100))
async def test_no_attempt_is_earlier_than_asked_or_later_than_the_budget(
    asked: list[float], budget: float, max_delay: float
) -> None:
    time, begun = Time(), list[float]()

    @time.policy(9, budget=budget, max_delay=max_delay)
    async def ask() -> None:
        begun.append(time.now - 1000)
        raise BusyError(asked[(len(begun) - 1) % len(asked)])

    with pytest.raises(BusyError):
        await ask()
    assert all(moment <= budget + 1e-6 for moment in begun)
    assert all(wait >= least for wait, least in zip(time.waits, asked, strict=False))


async def test_no_attempt_begins_after_the_budget(time: Time) -> None:
    flaky = Flaky(*[OSError("down")] * 9)
    with pytest.raises(OSError, match="down"):
        await time.policy(9, budget=3.5)(flaky.ask)()
    assert time.waits == [1, 2]


async def test_the_budget_counts_what_the_attempts_take(time: Time) -> None:
    @time.policy(9, budget=30)
    async def slow() -> None:
        time.now += 40
        raise OSError("slow")

    with pytest.raises(OSError, match="slow"):
        await slow()
    assert time.waits == []


async def test_the_hook_is_told_of_every_retry(time: Time) -> None:
    told: list[tuple[int, str, float]] = []
    policy = time.policy(on_retry=lambda n, error, wait: told.append((n, str(error), wait)))
    await policy(Flaky(OSError("a"), OSError("b")).ask)()
    assert told == [(1, "a", 1), (2, "b", 2)]


async def test_calls_count_their_attempts_apart(time: Time) -> None:
    flaky = Flaky(*[OSError("down")] * 4)
    ask = time.policy()(flaky.ask)
    with pytest.raises(OSError, match="down"):
        await ask()
    assert await ask() == "fine"


async def test_decorates_functions_and_methods_and_keeps_what_they_are() -> None:
    class Service:
        name = "it"

        @retry(max_attempts=2)
        async def ask(self, question: str, *, loud: bool = False) -> str:
            """Answer."""
            return f"{self.name}: {question.upper() if loud else question}"

    @retry(3, 0.5, 2.0, (OSError,))
    async def ask(question: str) -> str:
        return question

    assert await Service().ask("why", loud=True) == "it: WHY"
    assert await ask(question="why") == "why"
    assert inspect.iscoroutinefunction(Service.ask)
    assert list(inspect.signature(Service.ask).parameters) == ["self", "question", "loud"]
    assert (Service.ask.__name__, Service.ask.__doc__) == ("ask", "Answer.")


async def test_the_type_checker_still_sees_the_signature(time: Time) -> None:
    class Service:
        @retry(sleep=time.sleep)
        async def count(self, text: str) -> int:
            return len(text)

    @retry(max_attempts=2, sleep=time.sleep)
    async def ask(question: str, *, times: int = 1) -> str:
        return question * times

    assert_type(await ask("why", times=2), str)
    assert_type(await Service().count("why"), int)
    # An ignore that nothing needs is an error of its own.
    with pytest.raises(TypeError):
        await ask("why", 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        await Service().count(7)  # type: ignore[arg-type]


async def test_a_partial_of_an_async_function_is_one(time: Time) -> None:
    assert await time.policy()(functools.partial(Flaky(OSError()).ask, "yes"))() == "yes"


def test_plain_functions_are_refused_and_told_why() -> None:
    def plain() -> None: ...

    with pytest.raises(TypeError, match=r"plain is not an async function.* a Worker has only one"):
        retry()(plain)  # type: ignore[arg-type]


def test_async_generators_are_refused_and_told_why() -> None:
    async def words() -> AsyncIterator[str]:
        yield "word"

    with pytest.raises(TypeError, match=r"words is an async generator.* opens the stream"):
        retry()(words)  # type: ignore[arg-type]


def test_the_decorator_without_its_parentheses_says_so() -> None:
    async def ask() -> None: ...

    with pytest.raises(TypeError, match=r"@retry\(\)"):
        retry(ask)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"max_attempts": 0}, ValueError),
        ({"max_attempts": 2.0}, TypeError),
        ({"max_attempts": True}, TypeError),
        ({"delay": -1}, ValueError),
        ({"delay": "1"}, TypeError),
        ({"delay": math.inf}, ValueError),
        ({"delay": math.nan}, ValueError),
        ({"backoff": 0.5}, ValueError),
        ({"max_delay": -1}, ValueError),
        ({"budget": -1}, ValueError),
        ({"exceptions": ()}, TypeError),
        ({"exceptions": OSError}, TypeError),
        ({"exceptions": (OSError, "ValueError")}, TypeError),
        ({"exceptions": (asyncio.CancelledError,)}, TypeError),
        ({"exceptions": (BaseException,)}, TypeError),
        ({"retry_if": True}, TypeError),
        ({"retry_if": asyncio.sleep}, TypeError),
        ({"on_retry": "log"}, TypeError),
        ({"on_retry": asyncio.sleep}, TypeError),
        ({"sleep": 1.0}, TypeError),
        ({"sleep": None}, TypeError),
        ({"clock": 0.0}, TypeError),
        ({"clock": None}, TypeError),
        ({"random": 0.5}, TypeError),
    ],
)
def test_arguments_are_checked_where_they_are_written(
    arguments: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(arguments))):
        Retry(**arguments)  # type: ignore[arg-type]
