"""What errors answer: a problem in words written for callers, never the error's own."""

import math
from collections.abc import Callable
from contextlib import suppress

from service.context import Context
from service.log import log, where
from service.providers.base import (
    BadRequestError,
    ContentBlockedError,
    OverloadedError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
)
from service.settings import Environment, SettingsError, is_local
from service.web import Problem, Unavailable

DEFAULT_RETRY_AFTER = 5.0
"""Seconds a caller is asked to wait where what is too busy or down did not say."""

Explain = Callable[[Exception], Problem]


def explain(context: Context) -> Explain:
    """Turns an error into its problem; errors that the operator has to know of are logged."""

    def problem(error: Exception) -> Problem:
        match error:
            case Problem():
                return error
            case ProviderError():
                return provider_problem(error, in_detail=_is_local(context.env))
        return _failure(error, context.env)

    return problem


def provider_problem(error: ProviderError, *, in_detail: bool = False) -> Problem:
    """What a caller is told of a provider's failure; 422 where it is the request's fault.

    The provider's own words are for the developer alone: `in_detail` says that it is a local run.
    """
    wait = _wait(error.retry_after)
    reason = f"{error}: {error.detail}" if in_detail and error.detail else f"{error}."
    match error:
        case RateLimitedError():
            return Problem(429, reason, headers=wait)
        case OverloadedError():
            return Problem(503, reason, headers=wait)
        case ProviderTimeoutError():
            return Problem(504, reason)
        case BadRequestError(parameter=str()):
            place = {"pointer": f"#/{error.parameter}", "detail": f"{error.provider} refused it"}
            return Problem(422, reason, errors=[place])
        case BadRequestError() | ContentBlockedError():
            return Problem(422, reason)
    return Problem(502, reason, headers=wait if error.retry_after else None)


def is_callers_fault(error: Exception) -> bool:
    """Whether a provider refuses what the caller asked for, and would again."""
    return isinstance(error, ProviderError) and provider_problem(error).status == 422


def _is_local(env: Environment) -> bool:
    with suppress(Exception):  # it may be the environment that failed
        return is_local(env)
    return False


def _wait(seconds: float | None) -> dict[str, str]:
    return {"retry-after": str(math.ceil(seconds or DEFAULT_RETRY_AFTER))}


def _failure(error: Exception, env: Environment) -> Problem:
    log(
        "error",
        "failed",
        error=type(error).__name__,
        cause=type(error.__cause__).__name__ if error.__cause__ else None,
        settings=str(error) if isinstance(error, SettingsError) else None,
        reason=(str(error) or None) if isinstance(error, Unavailable) else None,
        where=where(error),
    )
    local = _is_local(env)
    match error:
        case SettingsError():
            hint = str(error) if local else "Its log says what to set"
            return Problem(500, f"This service is not configured. {hint}.")
        case Unavailable():
            problem = Problem(503, error.answer, headers=_wait(error.retry_after))
        case _:
            problem = Problem(500, "Something went wrong in this service.")
    if local:
        # For the developer alone: a message may quote what no log is to have.
        problem.extensions["exception"] = _messages(error)
    return problem


def _messages(error: BaseException) -> str:
    """What the error and its causes say."""
    message = f"{type(error).__name__}: {error}"
    return f"{message}, caused by {_messages(error.__cause__)}" if error.__cause__ else message
