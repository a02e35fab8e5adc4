"""Run in a generated project: asks every provider in every way, the stand-ins in their places.

Prints a list of calls as JSON: where, what was sent, what came back. Of a stream that is a list of
its events' data.
"""

import asyncio
import json
from typing import Any

import httpx
from dev.standins import Standins
from service.http import client
from service.providers.base import ChatRequest, Message
from service.providers.chosen import chosen

from tests.support.choices import variable
from tests.support.standins import BASE_PATHS, KEY

LEAST = ChatRequest(messages=(Message(role="user", content="Hello"),))
MOST = ChatRequest(
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="One"),
        Message(role="assistant", content="1"),
        Message(role="user", content="Two"),
    ),
    model="a-model",
    max_tokens=7,
    temperature=0.5,
)


async def calls(url: str) -> list[dict[str, object]]:
    """Ask, then look up what was asked, and ask that again for the answer as it is."""
    env = {"ENVIRONMENT": "local"}
    for name, path in BASE_PATHS.items():
        env[variable(name, "API_KEY")] = KEY
        env[variable(name, "BASE_URL")] = url + path
        env[variable(name, "MODEL")] = "standin-echo"
    async with client(httpx.AsyncHTTPTransport()) as http:
        for make in chosen(env, http).values():
            for request in (LEAST, MOST):
                await make().complete(request)
                async with await make().stream(request) as stream:
                    async for _ in stream:
                        pass
        asked = (await http.get(f"{url}/journal")).json()
        return [{**call, "answer": await answer(http, url, call)} for call in asked]


async def answer(http: httpx.AsyncClient, url: str, call: dict[str, Any]) -> object:
    sent = call["headers"].items()
    headers = {name: value for name, value in sent if name not in ("host", "content-length")}
    response = await http.post(f"{url}{call['path']}", headers=headers, json=call["body"])
    if response.headers["content-type"] == "application/json":
        return response.json()
    lines = response.text.split("\n")
    data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"]


with Standins() as standins:
    print(json.dumps(asyncio.run(calls(standins.url))))
