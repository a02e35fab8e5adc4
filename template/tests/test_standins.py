"""The stand-ins themselves, where a test of the service could be fooled by them."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from service.providers.base import ChatRequest, Message
from service.providers.chosen import PROVIDERS as CHOSEN
from service.providers.upstream import HttpProvider
from tests.support.choices import PROVIDERS, variable
from tests.support.standins import BASE_PATHS, CALLS, KEY, StandinsView

EVERY_PROVIDER = pytest.mark.parametrize("provider", PROVIDERS)

NOWHERE = httpx.AsyncClient(transport=httpx.AsyncBaseTransport())


def api(provider: str) -> HttpProvider:
    """The provider's own code, which says how the API is called."""
    (kind,) = (each for each in CHOSEN if each.name == provider)
    values = {"API_KEY": KEY, "MODEL": "m", "BASE_URL": "https://api.example"}
    env = {variable(provider, name): value for name, value in values.items()}
    return kind(kind.settings.load(env), NOWHERE)


async def ask(
    standins: StandinsView,
    provider: str,
    body: object,
    headers: dict[str, str] | None = None,
    model: str = "m",
) -> httpx.Response:
    """Call the stand-in for a provider's API; where that is its way, with the model in the path."""
    path = BASE_PATHS[provider] + CALLS[provider].replace("standin-echo", model)
    sent = api(provider).headers(KEY) if headers is None else headers
    return await standins.http.post(standins.url + path, headers=sent, json=body)


def says(provider: str, text: str, model: str = "m") -> dict[str, object]:
    """A body with one turn."""
    request = ChatRequest(messages=(Message(role="user", content=text),))
    body = api(provider).body(request, model)
    return {name: value for name, value in body.items() if value is not None}


@EVERY_PROVIDER
async def test_only_the_stand_ins_key_opens(standins: StandinsView, provider: str) -> None:
    headers = api(provider).headers(KEY)
    wrong = {name: value.replace("standin", "other") for name, value in headers.items()}
    for sent in ({}, wrong):
        answer = await ask(standins, provider, says(provider, "Hi"), sent)
        assert answer.status_code in {400, 401}
        assert "API key" in answer.text


@EVERY_PROVIDER
@pytest.mark.parametrize(
    "change",
    [{"turns": None}, {"turns": []}, {"turns": ["Hi"]}, {"turns": "Hi"}, {"api_key": "k"}],
)
async def test_what_the_apis_refuse_is_refused(
    standins: StandinsView, provider: str, change: dict[str, object]
) -> None:
    (turns,) = (name for name, value in says(provider, "Hi").items() if isinstance(value, list))
    changes = {turns if name == "turns" else name: value for name, value in change.items()}
    answer = await ask(standins, provider, says(provider, "Hi") | changes)
    assert answer.status_code in {400, 422}


@EVERY_PROVIDER
async def test_a_body_that_is_no_json_object_is_refused(
    standins: StandinsView, provider: str
) -> None:
    url = standins.url + BASE_PATHS[provider] + CALLS[provider]
    for content in (b"", b"{", b"[]", b"\xff"):
        answer = await standins.http.post(url, headers=api(provider).headers(KEY), content=content)
        assert answer.status_code == 400


@EVERY_PROVIDER
async def test_the_journal_tells_how_each_call_ended(standins: StandinsView, provider: str) -> None:
    marker = str(uuid4())
    question = says(provider, marker, "standin-hang")
    hanging = asyncio.ensure_future(ask(standins, provider, question, model="standin-hang"))
    while not await standins.journal(marker, wait=0):
        pass
    await ask(standins, provider, says(provider, marker))
    assert [c["outcome"] for c in await standins.journal(marker, wait=0)] == ["open", "answered"]
    hanging.cancel()
    first, second = await standins.journal(marker)
    assert (first["outcome"], second["outcome"]) == ("client-left", "answered")
    assert first["path"].startswith(BASE_PATHS[provider])
    assert first["body"] == question
    assert KEY in str(second["headers"])


@EVERY_PROVIDER
async def test_flaky_is_counted_for_each_body_apart(standins: StandinsView, provider: str) -> None:
    statuses, model = [], "standin-flaky-503-1"
    for text in (str(uuid4()), str(uuid4())):
        for _ in range(3):
            answer = await ask(standins, provider, says(provider, text, model), model=model)
            statuses.append(answer.status_code)
    assert statuses == [503, 200, 200] * 2


@EVERY_PROVIDER
async def test_many_calls_at_once_are_all_answered(standins: StandinsView, provider: str) -> None:
    texts = [str(uuid4()) for _ in range(50)]
    answers = await asyncio.gather(
        *(ask(standins, provider, says(provider, text)) for text in texts)
    )
    for answer, text in zip(answers, texts, strict=True):
        assert f"You said: {text}" in answer.text


async def test_there_is_nothing_else(standins: StandinsView) -> None:
    for path in ("/", BASE_PATHS[PROVIDERS[0]], BASE_PATHS[PROVIDERS[0]] + CALLS[PROVIDERS[0]]):
        assert (await standins.http.get(standins.url + path)).status_code == 404
