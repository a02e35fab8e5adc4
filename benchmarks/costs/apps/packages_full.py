"""The least that the full preset can cost: its packages, and two bytes."""

import httpx  # noqa: F401 - imported for its price
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr  # noqa: F401
from sqlalchemy import Table, delete, insert, select  # noqa: F401
from sqlalchemy.dialects.sqlite.base import SQLiteDialect  # noqa: F401
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """Answers every request with two bytes."""

    async def fetch(self, request):
        return Response("ok")
