"""The service as a whole: every request gets an answer and a log line, every error its problem."""

import re
import time
from dataclasses import replace
from urllib.parse import urlsplit
from uuid import uuid4

from service.about import NAME, VERSION
from service.chat import provider_problem
from service.features import Features
from service.log import log, request_id, where
from service.providers.base import ProviderError
from service.runtime import Runtime
from service.settings import LOOPBACK_HOSTS, SettingsError, is_local
from service.web import Problem, Request, Response, Route, Unavailable, find, json_response


class App:
    """Answers requests with the service's features."""

    def __init__(self, runtime: Runtime) -> None:
        self._env = runtime.env
        self.features = Features(runtime, explain=self._problem)
        self._routes = [
            Route("GET", "/healthz", _healthz, public=True),
            *self.features.routes(),
        ]

    async def handle(self, request: Request) -> Response:
        """Answer, whatever happens: an error becomes its problem. One log line a request."""
        request = replace(request, id=_id(request))
        request_id.set(request.id)
        started = time.perf_counter()
        try:
            response = await self._answer(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            response = self._problem(error).response(request.id)
        if request.method == "HEAD":
            response.body = b""
        response.headers.setdefault("cache-control", "no-store")
        response.headers["x-request-id"] = request.id
        log(
            "info",
            "request",
            method=request.method,
            path=request.path,
            status=response.status,
            duration_ms=round((time.perf_counter() - started) * 1000),
        )
        return response

    async def _answer(self, request: Request) -> Response:
        if is_local(self._env) and urlsplit(request.url).hostname not in LOOPBACK_HOSTS:
            raise Problem(403, "This service runs for local development: it answers localhost.")
        route, path_params = find(self._routes, request.method, request.path)
        caller = "" if route.public else await self.features.caller(request, route)
        return await route.handler(replace(request, caller=caller, path_params=path_params))

    def _problem(self, error: Exception) -> Problem:
        """What an error answers: nothing of its text, but where that is written for callers."""
        match error:
            case Problem():
                return error
            case ProviderError():
                return provider_problem(error)
        return self._failure(error)

    def _failure(self, error: Exception) -> Problem:
        """What an error answers that whoever runs the service has to know of."""
        log(
            "error",
            "failed",
            error=type(error).__name__,
            cause=type(error.__cause__).__name__ if error.__cause__ else None,
            settings=str(error) if isinstance(error, SettingsError) else None,
            reason=(str(error) or None) if isinstance(error, Unavailable) else None,
            where=where(error),
        )
        match error:
            case SettingsError():
                hint = str(error) if is_local(self._env) else "Its log says what to set"
                return Problem(500, f"This service is not configured. {hint}.")
            case Unavailable():
                return Problem(503, error.answer)
        return Problem(500, "Something went wrong in this service.")


async def _healthz(_request: Request) -> Response:
    return json_response({"status": "ok", "service": NAME, "version": VERSION})


def _id(request: Request) -> str:
    ray = request.headers.get("cf-ray", "")
    return ray if re.fullmatch(r"[\w-]{1,64}", ray) else uuid4().hex
