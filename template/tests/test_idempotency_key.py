"""Idempotency-Key where nothing remembers keys, or where another request was faster."""

import pytest

from service.idempotency import Holder, Keys
from service.providers.base import ChatRequest, Message
from service.web import Problem, Request

BODY = ChatRequest(messages=(Message(role="user", content="hello"),))


def request(key: str) -> Request:
    sent = Request.of_nobody("/v1/chat", "r1", "user_1")
    sent.headers["idempotency-key"] = key
    return sent


@pytest.mark.parametrize("key", ["key", "", "k" * 1000])
async def test_where_nothing_is_stored_the_key_is_ignored(key: str) -> None:
    claims = [await Keys().claim(request(key), BODY) for _ in "12"]
    assert len({claim.chat_id for claim in claims}) == 2
    assert [claim.answer for claim in claims] == [None, None]


class GivenBack:
    """A store in which whoever had the key gave it back just now."""

    async def claim(self, _owner: str, _key: str, _holder: Holder, /) -> Holder | None:
        return None

    async def release(self, _owner: str, _key: str, _chat_id: str, /) -> None:
        raise AssertionError


async def test_who_comes_as_a_key_is_given_back_asks_again() -> None:
    with pytest.raises(Problem) as caught:
        await Keys(GivenBack()).claim(request("key"), BODY)
    assert caught.value.status == 409
    assert caught.value.headers == {"retry-after": "5"}
