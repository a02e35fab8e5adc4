"""A chat is its caller's alone."""

import httpx

from tests.conftest import new_name
from tests.support.standins import StandinsView, credentials


async def headers(standins: StandinsView) -> dict[str, str]:
    """The credentials of a caller who was never here."""
    return credentials(await standins.token({"sub": new_name()}))


async def test_another_caller_s_chat_is_not_there(
    anyone: httpx.AsyncClient, standins: StandinsView
) -> None:
    owner, other = await headers(standins), await headers(standins)
    body = {"messages": [{"role": "user", "content": "hello"}]}
    chat_id = (await anyone.post("/v1/chat", json=body, headers=owner)).json()["id"]
    path = f"/v1/chats/{chat_id}"
    assert (await anyone.get(path, headers=other)).status_code == 404
    assert (await anyone.delete(path, headers=other)).status_code == 404
    assert (await anyone.get("/v1/chats", headers=other)).json() == {
        "chats": [],
        "next_cursor": None,
    }
    assert (await anyone.get(path, headers=owner)).status_code == 200


async def test_the_last_page_has_no_next(anyone: httpx.AsyncClient, standins: StandinsView) -> None:
    owner = await headers(standins)
    body = {"messages": [{"role": "user", "content": "hello"}]}
    said = [(await anyone.post("/v1/chat", json=body, headers=owner)).json()["id"] for _ in "123"]
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = (await anyone.get("/v1/chats", params=query, headers=owner)).json()
        seen += [chat["id"] for chat in page["chats"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert sorted(seen) == sorted(said)
    assert len(seen) == 3


async def test_an_idempotency_key_is_its_caller_s_alone(
    anyone: httpx.AsyncClient, standins: StandinsView, marker: str
) -> None:
    body = {"messages": [{"role": "user", "content": marker}]}
    key = {"idempotency-key": marker}
    callers = [await headers(standins) for _ in "12"]
    answers = [await anyone.post("/v1/chat", json=body, headers=key | each) for each in callers]
    assert len({answer.json()["id"] for answer in answers}) == 2
    assert len(await standins.journal(marker)) == 2
