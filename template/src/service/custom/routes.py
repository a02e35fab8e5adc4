"""Your own routes. A route that reads one of your settings:

    def routes(context: Context) -> Sequence[Route]:
        async def greet(request: Request) -> Response:
            greeting = context.settings(GreetingSettings).greeting
            return json_response({"text": f"{greeting}, {request.caller}!"})

        return [Route("GET", "/v1/greeting", greet)]

`context.get(chat)`, `context.get(database)` and the like are the service's own parts. Read settings
in the handlers, not while the routes are listed: a missing one then fails no other route.
"""

from collections.abc import Sequence

from service.context import Context
from service.web import Route


def routes(_context: Context) -> Sequence[Route]:
    return []
