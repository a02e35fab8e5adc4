"""The same with what the default project does around it: what no Worker with these duties can save.

It verifies the caller's token, checks the body, answers in a format of its own, writes a data point
and a log line, and gives each request an id. No retries, no fallback, no settings, no CORS, and an
error is a 500.
"""

import base64
import json
import time
from uuid import uuid4

import by_hand
import js
from pyodide.ffi import to_js
from workers import Response

ROLES = {"system", "user", "assistant"}
KEYS = {}


class Default(by_hand.Default):
    """Answers POST /v1/chat for those who have a token."""

    async def fetch(self, request):
        """Answer."""
        started, request_id = time.perf_counter(), uuid4().hex
        if request.method == "POST":
            caller = await self._caller(request.headers["authorization"].removeprefix("Bearer "))
            response = await self.chat(checked(await request.json()), caller)
        else:
            response = Response.json({"status": "ok"})
        headers = response.js_object.headers
        headers.set("x-request-id", request_id)
        headers.set("cache-control", "no-store")
        line = {"level": "info", "event": "request", "request_id": request_id}
        took = round((time.perf_counter() - started) * 1000)
        print(json.dumps({**line, "method": request.method, "duration_ms": took}))
        return response

    async def _caller(self, token):
        header, claims, signature = (decoded(part) for part in token.split("."))
        header, claims = json.loads(header), json.loads(claims)
        issuer = self.env.AUTH_ISSUER
        if claims["iss"] != issuer or not claims["nbf"] <= time.time() < claims["exp"]:
            raise ValueError("the token is not for here, or not for now")
        if not KEYS:
            answer = await js.fetch(f"{issuer}/.well-known/jwks.json")
            KEYS.update((key["kid"], key) for key in json.loads(await answer.text())["keys"])
        algorithm = as_object({"name": "RSASSA-PKCS1-v1_5", "hash": "SHA-256"})
        jwk, subtle, extractable = as_object(KEYS[header["kid"]]), js.crypto.subtle, False
        key = await subtle.importKey("jwk", jwk, algorithm, extractable, to_js(["verify"]))
        signed = token.rpartition(".")[0].encode()
        if not await subtle.verify(algorithm, key, to_js(signature), to_js(signed)):
            raise ValueError("the token's signature is wrong")
        return claims["sub"]

    def sent(self, chunk):
        """The text of each event, as an event of our own."""
        events = [
            json.loads(line[6:]) for line in chunk.split(b"\n") if line.startswith(b"data: {")
        ]
        deltas = (choice["delta"] for event in events for choice in event["choices"])
        texts = [delta["content"] for delta in deltas if "content" in delta]
        return b"".join(
            b"event: delta\ndata: %s\n\n" % json.dumps({"text": t}).encode() for t in texts
        )

    async def keep(self, body, text, caller, usage):
        """Store the chat, and record the call."""
        await super().keep(body, text, caller, usage)
        tokens = [float(usage.get(name, -1)) for name in ("prompt_tokens", "completion_tokens")]
        point = {"indexes": [caller], "blobs": ["openai", "chat"], "doubles": tokens}
        self.env.ANALYTICS.writeDataPoint(point)


def checked(body):
    """The body of a chat request; raises ValueError for anything else."""
    messages = body["messages"]
    if any(
        message["role"] not in ROLES or type(message["content"]) is not str for message in messages
    ):
        raise ValueError("the body needs messages with a role and a text")
    return {"messages": messages, "stream": body.get("stream") is True}


def decoded(part):
    """The bytes of a part of a token."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def as_object(entries):
    """A dict as a JavaScript object."""
    return to_js(entries, dict_converter=js.Object.fromEntries)
