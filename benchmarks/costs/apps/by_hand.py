"""The default project's chat by hand, on the SDK alone, without what surrounds it.

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
        return await self.chat(await request.json(), "")

    async def chat(self, body, caller):
        """Ask OpenAI."""
        await self.env.RATE_LIMITER.limit({"key": caller or "anybody"})
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
            copying = self._copy(body, upstream, pipe.writable, caller)
            self.ctx.waitUntil(asyncio.ensure_future(copying))
            headers = {"content-type": "text/event-stream"}
            return Response(pipe.readable, headers=headers)
        answer = json.loads(await upstream.text())
        text = answer["choices"][0]["message"]["content"]
        await self.keep(body, text, caller, answer["usage"])
        return Response.json({"text": text})

    async def _copy(self, body, upstream, writable, caller):
        reader, writer = upstream.body.getReader(), writable.getWriter()
        chunks = []
        while not (part := await reader.read()).done:
            chunk = part.value.to_bytes()
            chunks.append(chunk)
            await writer.write(to_js(self.sent(chunk)))
        await self.keep(body, b"".join(chunks).decode(), caller, {})
        await writer.close()

    def sent(self, chunk):
        """What the client gets of a chunk of OpenAI's stream."""
        return chunk

    async def keep(self, body, text, caller, _usage):
        """Store the chat."""
        messages = json.dumps(body["messages"])
        now = int(time.time() * 1000)
        model = self.env.OPENAI_MODEL
        values = (uuid4().hex, caller, now, "openai", model, messages, text, "stop")
        await self.env.DB.prepare(INSERT).bind(*values).run()
