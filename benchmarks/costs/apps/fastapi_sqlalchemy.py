"""FastAPI and httpx, and SQLAlchemy Core for the chats in D1. Nobody is authenticated."""

import json
import time
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi_httpx import Chat, complete, healthz
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert
from sqlalchemy.dialects import sqlite
from workers import Response, WorkerEntrypoint, asgi

app = FastAPI()
app.get("/healthz")(healthz)

DIALECT = sqlite.dialect(paramstyle="qmark")
TEXTS = ("owner", "provider", "model", "messages", "text", "finish_reason")
TABLE = Table(
    "chats",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("created_at", Integer, nullable=False),
    *(Column(name, Text, nullable=False) for name in TEXTS),
)


@app.post("/v1/chat")
async def chat(body: Chat, request: Request) -> dict[str, str]:
    """Ask OpenAI, and store the chat."""
    env = request.scope["env"]
    text = await complete(env, body)
    values = {
        "id": uuid4().hex,
        "created_at": int(time.time() * 1000),
        "owner": "",
        "provider": "openai",
        "model": env.OPENAI_MODEL,
        "messages": json.dumps(body.model_dump()["messages"]),
        "text": text,
        "finish_reason": "stop",
    }
    statement = insert(TABLE).values(**values).compile(dialect=DIALECT)
    parameters = [statement.params[name] for name in statement.positiontup or ()]
    await env.DB.prepare(str(statement)).bind(*parameters).run()
    return {"text": text}


class Default(WorkerEntrypoint):
    """Hands requests to FastAPI."""

    async def fetch(self, request: Any) -> Response:
        """Answer."""
        return await asgi.fetch(app, request.js_object, self.env)
