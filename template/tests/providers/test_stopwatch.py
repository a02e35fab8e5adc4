"""Stopwatch, with a clock that the tests set; what providers make of it is in contract.py."""

import asyncio
from itertools import count

import pytest

from service.providers.transport import Stopwatch, TimedOutError, Timeouts


async def test_a_timer_that_fires_too_early_does_not_lose_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When it is set again, the time that it is set for may have passed."""
    loop = asyncio.get_running_loop()
    real, looks = loop.time, count()
    # Each second look at the clock finds it 50 ms on.
    monkeypatch.setattr(loop, "time", lambda: real() + 0.05 * (next(looks) % 2))
    watch = Stopwatch(Timeouts.model_validate({"PROVIDER_CALL_TIMEOUT": 0.1}))
    with pytest.raises(TimedOutError, match="PROVIDER_CALL_TIMEOUT"):
        await watch.wait(asyncio.Event().wait())
