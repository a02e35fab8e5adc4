"""What people change in a project: at the places that its README names, and elsewhere."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support import write

FILES: Mapping[str, str] = {
    "src/service/custom/__init__.py": '''\
"""Our own code."""

from service.context import CONSUMERS, ROUTES, TASKS
from service.custom.emails import consumers
from service.custom.routes import routes
from service.custom.tasks import tasks

feature = (ROUTES.by(routes), TASKS.by(tasks), CONSUMERS.by(consumers))
''',
    "src/service/custom/routes.py": '''\
"""Our own routes."""

from collections.abc import Sequence

from service.context import Context
from service.custom.settings import GreetingSettings
from service.web import Request, Response, Route, json_response


def routes(context: Context) -> Sequence[Route]:
    async def greet(request: Request) -> Response:
        greeting = context.settings(GreetingSettings).greeting
        return json_response({"text": f"{greeting}, {request.path_params['name']}!"})

    return [Route("GET", "/v1/greetings/{name}", greet)]
''',
    "src/service/custom/settings.py": '''\
"""Our own settings."""

from pydantic import Field

from service.settings import Settings


class GreetingSettings(Settings):
    greeting: str = Field(alias="GREETING")
''',
    "src/service/custom/tasks.py": '''\
"""Our own scheduled tasks."""

from collections.abc import Mapping

from service.chat import chat
from service.context import Context, Task


def tasks(context: Context) -> Mapping[str, Task]:
    async def warm_up() -> Mapping[str, object]:
        context.get(chat)
        return {"warm": True}

    return {"warm_up": warm_up}
''',
    "src/service/custom/classes.py": '''\
"""Our own Durable Objects."""

from workers import DurableObject


class Room(DurableObject):  # type: ignore[no-untyped-call] # what the SDK does to subclasses
    async def join(self) -> int:
        return 1
''',
    "src/service/custom/emails.py": '''\
"""What the queue of emails delivers."""

from collections.abc import Mapping

from service.context import Consumer, Context


def consumers(_context: Context) -> Mapping[str, Consumer]:
    async def deliver(batch: object) -> None:
        del batch

    return {"emails": deliver}
''',
    "src/prompts/greeting.txt": "Greet {user}.\n",
    "migrations/0002_notes.sql": "CREATE TABLE notes (text TEXT);\n",
    "tests/custom/environment.py": '''\
"""What our tests need."""

from service.prompts import Variables


class GreetingVariables(Variables):
    user: str


ENV: dict[str, object] = {"GREETING": "Good morning"}

PROMPTS: dict[str, type[Variables]] = {"greeting": GreetingVariables}
''',
    "tests/custom/fixtures.py": '''\
"""Our own fixtures."""

import pytest


@pytest.fixture
def friend() -> str:
    return "Ada"
''',
    "tests/custom/test_greetings.py": '''\
"""Our own code is part of the service."""

import httpx
import pytest

from service.context import CONSUMERS
from service.maintenance import maintenance
from tests.conftest import Env, serve, service_context


async def test_a_friend_is_greeted(client: httpx.AsyncClient, env: Env, friend: str) -> None:
    async with serve(env) as service:
        service.headers.update(client.headers)
        answer = await service.get(f"/v1/greetings/{friend}")
    assert answer.json() == {"text": "Good morning, Ada!"}


async def test_our_task_runs_with_the_others(env: Env, capsys: pytest.CaptureFixture[str]) -> None:
    async with service_context(env) as context:
        await context.get(maintenance).run()
    assert '"task": "warm_up"' in capsys.readouterr().out


async def test_our_queue_has_its_consumer(env: Env) -> None:
    async with service_context(env) as context:
        assert "emails" in context.every(CONSUMERS)[0]
''',
}
"""Files of one's own, as they are after the edits: routes, settings, tasks, classes, tests."""


@dataclass(frozen=True)
class Edit:
    """Lines that are inserted behind the first, or the last, line that `anchor` matches.

    `name` is what docs/explanation/updates.md calls the edit.
    """

    name: str
    file: str
    anchor: str
    lines: str
    last: bool = False

    def apply(self, project: Path) -> None:
        """Make the edit."""
        path = project / self.file
        text = path.read_text(encoding="utf-8")
        found = [*re.finditer(f"^{self.anchor}", text, re.MULTILINE)]
        assert found, f"{self.file}: no line like {self.anchor}"
        place = text.index("\n", found[-1 if self.last else 0].end() - 1) + 1
        path.write_text(text[:place] + self.lines + text[place:], encoding="utf-8")


AT_NAMED_PLACES = (
    Edit("a dependency", "pyproject.toml", "  # Your own:", '  "markupsafe>=3",\n'),
    Edit("an allowed package", "pyproject.toml", "# Your own:", 'markupsafe = ">=3"\n'),
)

ELSEWHERE = (
    Edit(
        "a line in `src/service/chat.py`",
        "src/service/chat.py",
        "        body = await read_json",
        '        log("info", "chat", stream=body.stream)\n',
    ),
    Edit(
        "a feature in `src/service/features.py`",
        "src/service/features.py",
        "    [a-z_0-9]+,",
        "    greetings,\n",
        last=True,
    ),
    Edit(
        "an import in `src/entry.py`",
        "src/entry.py",
        "from service.isolate",
        "from service.rooms import Room  # noqa: F401\n",
    ),
    Edit(
        "a prompt in `tests/support/choices.py`",
        "tests/support/choices.py",
        '    "assistant"',
        '    "greeting": GreetingVariables,\n',
    ),
    Edit(
        "a binding in `tests/support/runtime_cpython.py`",
        "tests/support/runtime_cpython.py",
        '        "[A-Z_]+": ',
        '        "CACHE": MemoryKV(),\n',
        last=True,
    ),
    Edit(
        "a setting in `env` of `tests/conftest.py`",
        "tests/conftest.py",
        '        "ENVIRONMENT"',
        '        "GREETING": "Hello",\n',
    ),
    Edit(
        "a locked package in `requirements/worker.txt`",
        "requirements/worker.txt",
        r"    --hash=\S+\n(?=typing-extensions)",
        f"tabulate==0.10.0 \\\n    --hash=sha256:{'0' * 64}\n",
    ),
    Edit(
        "a setting in `README.md`",
        "README.md",
        r"\| `ANTHROPIC_MODELS`",
        "| `GREETING` | variable | how callers are greeted |\n",
    ),
)


def edit(project: Path) -> None:
    """Make all of the edits."""
    write(project, FILES)
    for each in (*AT_NAMED_PLACES, *ELSEWHERE):
        each.apply(project)
