"""What a conversation begins with is the service's: it is not kept with the caller's chat."""

import httpx

from tests.conftest import Env, serve


async def test_a_stored_chat_is_without_the_system_prompt(
    client: httpx.AsyncClient, env: Env
) -> None:
    turns = [{"role": "user", "content": "hello"}]
    async with serve(env | {"SYSTEM_PROMPT": "assistant"}) as service:
        service.headers.update(client.headers)
        chat = (await service.post("/v1/chat", json={"messages": turns})).json()["id"]
        stored = await service.get(f"/v1/chats/{chat}")
    assert stored.json()["messages"][:1] == turns
    assert "assistant of" not in stored.text
