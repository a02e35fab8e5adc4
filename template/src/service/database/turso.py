"""SQLAlchemy Core statements on Turso, or any libSQL server, over HTTP."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import httpx
from pydantic import BeforeValidator, Field
from sqlalchemy.sql import ClauseElement

from service.context import Context
from service.database.base import DATABASE, DatabaseUnavailable, Parameters, Row
from service.database.hrana import TIMEOUT_SECONDS, Stream
from service.database.statements import Dialect, prepare
from service.retry import Retry
from service.settings import HeaderSecret, ServiceUrl, Settings

_DIALECT = Dialect()


def _over_http(text: object) -> object:
    return f"https://{text[9:]}" if isinstance(text, str) and text.startswith("libsql://") else text


DatabaseUrl = Annotated[ServiceUrl, BeforeValidator(_over_http)]
"""A libSQL server's address; libsql:// stands for https://."""


class TursoSettings(Settings):
    """Where the database is, what opens it, and the bound of the first wait, in seconds."""

    url: DatabaseUrl = Field(alias="TURSO_DATABASE_URL")
    auth_token: HeaderSecret = Field(alias="TURSO_AUTH_TOKEN")
    retry_delay: float = Field(alias="RETRY_DELAY", default=0.1, ge=0, allow_inf_nan=False)


def _nothing_was_applied(error: Exception) -> bool:
    return isinstance(error, DatabaseUnavailable) and error.untouched


# What only reads may always be asked again; what writes only when surely nothing was written. That
# no connection was made is no proof: the Worker's fetch does not tell it from one that broke.
_READ = Retry(exceptions=(DatabaseUnavailable,), max_delay=1.0, budget=5.0)
_WRITE = replace(_READ, retry_if=_nothing_was_applied)


class Turso:
    """Runs statements on a libSQL server: a `Database`.

    It keeps nothing between calls, so that all requests of the Worker may share it.
    """

    def __init__(
        self, settings: TursoSettings, http: httpx.AsyncClient, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._settings = settings
        self._http = http
        self._timeout = timeout
        self._read = replace(_READ, delay=settings.retry_delay)
        self._write = replace(_WRITE, delay=settings.retry_delay)

    async def run(
        self, statement: ClauseElement, parameters: Parameters | None = None
    ) -> Sequence[Row]:
        """See `Database`."""
        prepared = prepare(statement, _DIALECT, parameters)

        @(self._read if prepared.reads else self._write)
        async def attempt() -> Sequence[Row]:
            return await self._stream().execute((prepared.sql, prepared.values), last=True)

        return prepared.rows(await attempt())

    async def batch(self, statements: Sequence[ClauseElement]) -> Sequence[Sequence[Row]]:
        """See `Database`."""
        prepared = [prepare(statement, _DIALECT) for statement in statements]
        if not prepared:
            return []
        reads = all(each.reads for each in prepared)

        @(self._read if reads else self._write)
        async def attempt() -> Sequence[Sequence[Row]]:
            texts = [(each.sql, each.values) for each in prepared]
            return await self._stream().batch(texts, writes=not reads, last=True)

        results = await attempt()
        return [each.rows(rows) for each, rows in zip(prepared, results, strict=True)]

    def _stream(self) -> Stream:
        settings = self._settings
        return Stream(settings.url, settings.auth_token, self._http, self._timeout)


def turso(context: Context) -> Turso:
    return Turso(context.settings(TursoSettings), context.http)


feature = (DATABASE.by(turso),)
