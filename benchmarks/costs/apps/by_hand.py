"""The default project's chat by hand, on the SDK alone: what no Worker that does this can save.

It reads the request, asks the rate limiter and OpenAI, stores the chat in D1 and answers; nobody is
authenticated, nothing is validated, retried or recorded.
"""

import asyncio
import json
import time
from uuid import uuid4

import js
from pyodide.ffi import to_js
from workers import Response, WorkerEntrypoint

INSERT = (
    "INSERT INTO chats (id, owner, created_at, provider, model, messages, text, finish_reason)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class Default(WorkerEntrypoint):
    """Answers POST /v1/chat, whole or as a stream."""

    async def fetch(self, request):
        """Answer."""
        if request.method != "POST":
            return Response("ok")
        body = await request.json()
        await self.env.RATE_LIMITER.limit({"key": "anybody"})
        upstream = await js.fetch(
            f"{self.env.OPENAI_BASE_URL}/chat/completions",
            js.JSON.parse(
                json.dumps(
                    {
                        "method": "POST",
                        "headers": {
                            "authorization": f"Bearer {self.env.OPENAI_API_KEY}",
                            "content-type": "application/json",
                        },
                        "body": json.dumps({**body, "model": self.env.OPENAI_MODEL}),
                    }
                )
            ),
        )
        if body.get("stream"):
            pipe = js.IdentityTransformStream.new()
            self.ctx.waitUntil(asyncio.ensure_future(self._copy(body, upstream, pipe.writable)))
            headers = {"content-type": "text/event-stream"}
            return Response(pipe.readable, headers=headers)
        answer = json.loads(await upstream.text())
        text = answer["choices"][0]["message"]["content"]
        await self._store(body, text)
        return Response.json({"text": text})

    async def _copy(self, body, upstream, writable):
        reader, writer = upstream.body.getReader(), writable.getWriter()
        chunks = []
        while not (part := await reader.read()).done:
            chunk = part.value.to_bytes()
            chunks.append(chunk)
            await writer.write(to_js(chunk))
        await self._store(body, b"".join(chunks).decode())
        await writer.close()

    async def _store(self, body, text):
        messages = json.dumps(body["messages"])
        now = int(time.time() * 1000)
        model = self.env.OPENAI_MODEL
        values = (uuid4().hex, "", now, "openai", model, messages, text, "stop")
        await self.env.DB.prepare(INSERT).bind(*values).run()
