"""The service as a whole: every request gets an answer and a log line, every error its problem."""

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from service.about import NAME, VERSION
from service.context import CALLER, CONSUMERS, Consumer, Context
from service.cors import cors, is_preflight, requested_method
from service.features import FEATURES
from service.limits import rate_limit
from service.log import elapsed_ms, log, request_id
from service.maintenance import maintenance
from service.problems import explain
from service.runtime import Runtime
from service.settings import LOOPBACK_HOSTS, is_local
from service.web import Problem, Request, Response, Route, find, json_response

# At module level, so that a deploy's snapshot holds the compiled pattern.
_RAY = re.compile(r"[\w-]{1,64}")


class App:
    """Answers requests with the service's features."""

    def __init__(self, runtime: Runtime) -> None:
        self.context = Context(runtime, FEATURES)
        self._is_local = is_local(runtime.env)
        self.routes = [
            # Unlimited: it needs no setting, and costs less than counting it.
            Route("GET", "/healthz", _healthz, public=True, limited=False),
            *self.context.routes(),
        ]

    async def handle(self, request: Request) -> Response:
        """Answer, whatever happens: an error becomes its problem. One log line a request."""
        request = replace(request, id=_id(request))
        request_id.set(request.id)
        started = time.perf_counter()
        try:
            route, path_params = find(self.routes, requested_method(request), request.path)
            request = replace(request, route=route.path, path_params=path_params)
            response = await self._answer(request, route)
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            response = self.context.get(explain)(error).response(request.id)
        if request.method == "HEAD":
            response.body = b""
        response.headers.setdefault("cache-control", "no-store")
        response.headers["x-request-id"] = request.id
        with suppress(Exception):  # `_answer` reports malformed settings, and /healthz needs none
            self.context.get(cors).share(request, response)
        log(
            "info",
            "request",
            method=request.method,
            route=request.route or None,
            status=response.status,
            duration_ms=round(elapsed_ms(started)),
        )
        return response

    async def _answer(self, request: Request, route: Route) -> Response:
        if self._is_local and urlsplit(request.url).hostname not in LOOPBACK_HOSTS:
            raise Problem(403, "This service runs for local development: it answers localhost.")
        if is_preflight(request):
            return self.context.get(cors).preflight(request)
        if route.public and route.limited:
            await self.context.get(rate_limit).admit_address(request, route.path)
        if not route.public and "origin" in request.headers:
            self.context.get(cors).refuse_forgery(request)
        if not route.public:
            request = await self.context.require(CALLER)(request, route)
        return await route.handler(request)

    async def run_tasks(self) -> None:
        """Run the scheduled tasks. Raises MaintenanceError."""
        await self.context.get(maintenance).run()

    async def consume(self, batch: Any) -> None:
        """Hand a batch to the consumer of its queue. Raises LookupError where there is none."""
        consumers: dict[str, Consumer] = {}
        for each in self.context.every(CONSUMERS):
            consumers = {**each, **consumers}
        await find_consumer(consumers, batch.queue)(batch)


def find_consumer(consumers: Mapping[str, Consumer], queue: str) -> Consumer:
    """The consumer with the longest name that ends the queue's name; a lone one takes every queue.

    Raises LookupError for any other queue: Cloudflare then delivers the batch again.
    """
    matching = [name for name in consumers if f"-{queue}".endswith(f"-{name}")]
    if not matching and len(consumers) != 1:
        raise LookupError(f"the queue {queue} has no consumer")
    return consumers[max(matching or consumers, key=len)]


async def _healthz(_request: Request) -> Response:
    return json_response({"status": "ok", "service": NAME, "version": VERSION})


def _id(request: Request) -> str:
    ray = request.headers.get("cf-ray", "")
    return ray if _RAY.fullmatch(ray) else uuid4().hex
