"""What the service itself tells a model before what its callers say."""

from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import Field

from service.about import NAME
from service.context import Context
from service.prompts import Prompt, Variables
from service.providers.base import Message
from service.settings import Settings


class AssistantSettings(Settings):
    """The file in src/prompts/ that conversations begin with; none where nothing is set."""

    prompt: str | None = Field(alias="SYSTEM_PROMPT", default=None, pattern=r"^[a-z0-9_-]+$")


class AssistantVariables(Variables):
    """What such a prompt may speak of."""

    service: str
    today: str


class Assistant:
    """Speaks first. `clock` tells the time, in UTC. Raises PromptError."""

    def __init__(
        self, settings: AssistantSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._prompt = Prompt.load(settings.prompt, AssistantVariables) if settings.prompt else None
        self._clock = clock

    def opening(self) -> tuple[Message, ...]:
        """The messages that a conversation begins with."""
        if self._prompt is None:
            return ()
        variables = AssistantVariables(service=NAME, today=self._clock().date().isoformat())
        return (Message(role="system", content=self._prompt.render(variables)),)


def assistant(context: Context) -> Assistant:
    return Assistant(context.settings(AssistantSettings))
