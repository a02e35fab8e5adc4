"""Scheduled tasks: the crons of wrangler.toml run all of them."""

from collections.abc import Mapping
from uuid import uuid4

from service.chat import chat
from service.context import TASKS, Context, Task
from service.cors import cors
from service.log import log, request_id, where
from service.providers.chosen import chosen
from service.settings import SettingsError


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


def maintenance(context: Context) -> Maintenance:
    return Maintenance({name: each[name] for each in context.every(TASKS) for name in each})


def tasks(context: Context) -> Mapping[str, Task]:
    async def check_settings() -> Mapping[str, object]:
        """Report a missing setting before a caller meets it. Raises SettingsError."""
        for build in chosen(context.env, context.http).values():
            build()
        context.get(chat)
        context.get(cors)
        return {}

    return {"settings": check_settings}


feature = (TASKS.by(tasks),)
