"""What many would write: FastAPI, and httpx for the provider. Nobody is authenticated."""

from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from workers import Response, WorkerEntrypoint, asgi

app = FastAPI()


class Message(BaseModel):
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class Chat(BaseModel):
    """The body of a chat request."""

    messages: list[Message]
    model: str = ""
    stream: bool = False


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answer when the Worker runs."""
    return {"status": "ok"}


@app.post("/v1/chat", response_model=None)
async def chat(body: Chat, request: Request) -> dict[str, str] | StreamingResponse:
    """Ask OpenAI."""
    env = request.scope["env"]
    if body.stream:
        return StreamingResponse(events(env, body), media_type="text/event-stream")
    return {"text": await complete(env, body)}


def question(env: Any, body: Chat) -> dict[str, Any]:
    """What OpenAI is asked, as httpx takes it."""
    return {
        "url": f"{env.OPENAI_BASE_URL}/chat/completions",
        "headers": {"authorization": f"Bearer {env.OPENAI_API_KEY}"},
        "json": {**body.model_dump(), "model": body.model or env.OPENAI_MODEL},
    }


async def complete(env: Any, body: Chat) -> str:
    """The whole answer."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(**question(env, body))
    text: str = answer.raise_for_status().json()["choices"][0]["message"]["content"]
    return text


async def events(env: Any, body: Chat) -> AsyncIterator[bytes]:
    """The answer's events, as OpenAI sends them."""
    async with (
        httpx.AsyncClient() as client,
        client.stream("POST", **question(env, body)) as answer,
    ):
        async for chunk in answer.aiter_bytes():
            yield chunk


class Default(WorkerEntrypoint):
    """Hands requests to FastAPI."""

    async def fetch(self, request: Any) -> Response:
        """Answer."""
        return await asgi.fetch(app, request.js_object, self.env)
