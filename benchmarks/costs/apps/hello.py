"""The SDK's hello."""

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """Answers every request with two bytes."""

    async def fetch(self, request):
        return Response("ok")
