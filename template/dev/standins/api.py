"""What the format of one provider's API is to the stand-ins: a module each, in `apis`."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

Body = Mapping[str, object]


@dataclass(frozen=True)
class Question:
    """What a call asks for: turns are (role, text), whatever the system says among them."""

    model: str
    turns: list[tuple[str, str]]
    streamed: bool
    usage_wanted: bool = True

    @property
    def said(self) -> str:
        """What the user said last."""
        return next((text for role, text in reversed(self.turns) if role == "user"), "")

    @property
    def tokens(self) -> int:
        """One a word."""
        return sum(len(text.split()) for _, text in self.turns)


@dataclass(frozen=True)
class Reply:
    """What the model is to say, and why it ends: "stop", "length" or "refusal"."""

    question: Question
    text: str | None
    finish: str = "stop"
    words: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Cut the text into what is streamed at a time: a word and the space before it."""
        object.__setattr__(self, "words", re.findall(r"\s*\S+\s*$|\s*\S+", self.text or ""))

    @property
    def model(self) -> str:
        """Its name."""
        return self.question.model

    @property
    def input_tokens(self) -> int:
        """One a word."""
        return self.question.tokens

    @property
    def output_tokens(self) -> int:
        """One a word."""
        return len(self.words)


class Api(ABC):
    """The format of one provider's API, as it is where nothing else is said by most."""

    base: ClassVar[str]
    """What stands for the API's address: its module's name, then the path of the real one."""
    gateway_path: ClassVar[str]
    """What stands for it below an AI Gateway's address."""
    path: ClassVar[str]
    """Where calls go below `base`, the query included: a regular expression, `model` its group for
    the model."""
    parameters: ClassVar[frozenset[str]]
    required_headers: ClassVar[frozenset[str]] = frozenset()
    request_id: ClassVar[str | None] = None
    """The header that names a request."""
    retry_after: ClassVar[str | None] = "retry-after-ms"
    """The header that says how many milliseconds to wait."""
    wrong_key: ClassVar[int] = 401
    wrong_body: ClassVar[int] = 400

    def match(self, path: str) -> re.Match[str] | None:
        """The path of a call, None of a call to another API."""
        return re.fullmatch(re.escape(self.base) + self.path, path)

    def key(self, headers: Mapping[str, str]) -> str | None:
        """The API key that came with a call: a bearer token."""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        return key if scheme.lower() == "bearer" else None

    def problem(self, body: Body) -> str | None:
        """What the API would refuse in a request's body."""
        if not isinstance(body.get("model"), str):
            return "model: a string is required"
        return problem_of_list(body, "messages") or self.unknown(body)

    def unknown(self, body: Body) -> str | None:
        """The first parameter that the API does not know."""
        names = sorted(set(body) - self.parameters)
        return f"unknown parameter: {names[0]}" if names else None

    def question(self, place: Mapping[str, str], body: Body) -> Question:
        """Read a body without a problem; `place` holds the groups of the path."""
        return Question(
            model=place.get("model") or str(body["model"]),
            turns=[(str(m.get("role")), str(m.get("content"))) for m in objects(body["messages"])],
            streamed=body.get("stream") is True,
        )

    @abstractmethod
    def error(self, status: int, message: str) -> Body:
        """The body of an error."""

    def key_error(self, message: str) -> Body:
        """The body of the error that a wrong key gets."""
        return self.error(self.wrong_key, message)

    @abstractmethod
    def block(self) -> tuple[int, Body]:
        """The status and body for what is blocked."""

    @abstractmethod
    def answer(self, reply: Reply) -> Body:
        """A whole answer."""

    @abstractmethod
    def opening(self, reply: Reply) -> str:
        """The events before the first word."""

    @abstractmethod
    def word(self, reply: Reply, text: str) -> str:
        """The event of a word."""

    @abstractmethod
    def closing(self, reply: Reply) -> str:
        """The events after the last word."""

    @abstractmethod
    def failure(self, message: str) -> str:
        """The event of an error in the middle of a stream."""


def event(data: object, name: str | None = None) -> str:
    """A server-sent event; what is no text is written as JSON."""
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "") + f"data: {text}\n\n"


def scraps(stream: str) -> bytes:
    """The same events as unlike ours as the specification lets them be.

    Line ends of two bytes, a byte order mark, comments, fields of no use, events without data, and
    JSON over several lines, its characters unescaped.
    """
    blocks = ["\ufeff: a comment", ": keep-alive"]
    for block in stream.split("\n\n"):
        *name, data = block.split("\n")
        text = data.removeprefix("data: ")
        with suppress(ValueError):
            text = json.dumps(json.loads(text), indent=1, ensure_ascii=False)
        lines = [f"data:{line}" for line in text.split("\n")]
        blocks += ["\n".join(["id: 1", "retry: 9", ":", *name, *lines]), ": keep-alive", "event: x"]
    return "\n\n".join(blocks[:-3]).replace("\n", "\r\n").encode() + b"\r\n\r\n"


def objects(value: object) -> list[Body]:
    """The objects of a list, none where it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def problem_of_list(body: Body, name: str) -> str | None:
    """Why a parameter is no list of objects that has at least one."""
    value = body.get(name)
    if not isinstance(value, list) or not value:
        return f"{name}: at least one is required"
    if len(objects(value)) < len(value):
        return f"{name}: each must be an object"
    return None
