"""How long a server asks to wait: RFC 9110, section 10.2.3."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = 3600.0
"""Seconds; a server that asks for more is taken to ask for this."""


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """The seconds that an answer with these headers asks to wait; None if it does not.

    `retry-after-ms` comes before Retry-After, which is seconds or a date.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _bounded(milliseconds / 1000)
    value = headers.get("retry-after", "")
    seconds = duration(value)
    return _bounded(_seconds_until(value, now)) if seconds is None else seconds


def duration(text: str) -> float | None:
    """The seconds in a duration such as `7` or `7.5`; None for what is none."""
    return _bounded(_number(text))


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None else min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _seconds_until(date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, OverflowError):
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
