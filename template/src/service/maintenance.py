"""What the Worker does by the clock: the crons of wrangler.toml run all of it."""

from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

from service.log import log, request_id, where
from service.settings import SettingsError

Task = Callable[[], Awaitable[Mapping[str, object]]]
"""Does something, and gives what its log line is to say of it."""


class MaintenanceError(Exception):
    """Tasks failed, which the message names: the platform shows the run as failed."""


class Maintenance:
    """Runs its tasks, each whatever becomes of the others."""

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self._tasks = tasks

    async def run(self) -> None:
        """Run all of them, one log line each. Raises MaintenanceError."""
        request_id.set(f"cron_{uuid4().hex}")
        failed: list[str] = []
        for name, task in self._tasks.items():
            try:
                log("info", "maintenance", task=name, **await task())
            except Exception as error:  # noqa: BLE001 - whatever it is, the others are to run
                failed.append(name)
                log(
                    "error",
                    "maintenance_failed",
                    task=name,
                    error=type(error).__name__,
                    settings=str(error) if isinstance(error, SettingsError) else None,
                    where=where(error),
                )
        if failed:
            raise MaintenanceError(", ".join(failed))
