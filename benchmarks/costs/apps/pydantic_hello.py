"""A hello that validates with pydantic."""

from pydantic import BaseModel
from workers import Response, WorkerEntrypoint


class Health(BaseModel):
    """The answer."""

    status: str


class Default(WorkerEntrypoint):
    """Answers every request with a model's JSON."""

    async def fetch(self, request):
        body = Health(status="ok").model_dump_json()
        return Response(body, headers={"content-type": "application/json"})
