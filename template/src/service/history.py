"""GET /v1/chats, GET and DELETE /v1/chats/{id}: a caller's own stored chats."""

from service.database.chats import Chats
from service.web import Problem, Request, Response, json_response

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


class History:
    """Serves what `Chats` holds; another caller's chat is not there."""

    def __init__(self, chats: Chats) -> None:
        self._chats = chats

    async def list(self, request: Request) -> Response:
        """A page of chats. Problems: 422 for a limit or cursor that cannot be."""
        limit = _limit(request.query.get("limit", str(DEFAULT_LIMIT)))
        try:
            chats, cursor = await self._chats.page(
                request.caller, limit, request.query.get("cursor")
            )
        except ValueError:
            raise _invalid("cursor", "needs to be a next_cursor of an earlier page") from None
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


def _limit(text: str) -> int:
    if text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MAX_LIMIT:
        return int(text)
    raise _invalid("limit", f"needs to be a whole number from 1 to {MAX_LIMIT}")


def _invalid(name: str, detail: str) -> Problem:
    return Problem(
        422, "The request has invalid fields.", errors=[{"parameter": name, "detail": detail}]
    )


def _not_found() -> Problem:
    return Problem(404, "You have no chat with this id.")
