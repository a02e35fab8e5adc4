"""The workflow that makes summaries, as Cloudflare runs it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from workers import WorkflowEntrypoint
from workers.workflows import NonRetryableError

from service.isolate import app
from service.summaries import FinalError, summaries


class Summary(WorkflowEntrypoint):
    """Makes a summary, step by step."""

    async def run(self, event: Any, step: Any) -> dict[str, str]:
        async def do(
            name: str, work: Callable[[], Awaitable[str]], config: Mapping[str, object]
        ) -> str:
            async def attempt() -> str:
                try:
                    return await work()
                except FinalError as error:
                    raise NonRetryableError(str(error)) from None

            return str(await step.do(name, config=config)(attempt)())

        service = app().context.get(summaries)
        return await service.run(event["instanceId"], event["payload"], do)
