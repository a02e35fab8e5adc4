"""GET /v1/chats, GET and DELETE /v1/chats/{id}: a caller's own stored chats."""

from collections.abc import Sequence

from service.context import ROUTES, Context
from service.database.chats import Chats, chats
from service.web import (
    Problem,
    Request,
    Response,
    Route,
    invalid_parameter,
    json_response,
    page_limit,
)

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


class History:
    """Serves what `Chats` holds; another caller's chat is not there."""

    def __init__(self, chats: Chats) -> None:
        self._chats = chats

    async def list(self, request: Request) -> Response:
        """A page of chats. Problems: 422 for a limit or cursor that cannot be."""
        limit = page_limit(request, DEFAULT_LIMIT, MAX_LIMIT)
        try:
            chats, cursor = await self._chats.page(
                request.caller, limit, request.query.get("cursor")
            )
        except ValueError:
            detail = "needs to be a next_cursor of an earlier page"
            raise invalid_parameter("cursor", detail) from None
        return json_response({"chats": chats, "next_cursor": cursor})

    async def get(self, request: Request) -> Response:
        """One chat. Problems: 404."""
        chat = await self._chats.get(request.caller, request.path_params["id"])
        if chat is None:
            raise _not_found()
        return json_response(chat)

    async def delete(self, request: Request) -> Response:
        """204 when it is gone. Problems: 404."""
        if not await self._chats.delete(request.caller, request.path_params["id"]):
            raise _not_found()
        return Response(204)


def history(context: Context) -> History:
    return History(context.get(chats))


def routes(context: Context) -> Sequence[Route]:
    return [
        Route("GET", "/v1/chats", lambda request: context.get(history).list(request)),
        Route("GET", "/v1/chats/{id}", lambda request: context.get(history).get(request)),
        Route("DELETE", "/v1/chats/{id}", lambda request: context.get(history).delete(request)),
    ]


feature = (ROUTES.by(routes),)


def _not_found() -> Problem:
    return Problem(404, "You have no chat with this id.")
