"""Settings: frozen pydantic models, read from the Worker's environment on first use.

Each feature declares its own model next to the code that uses it; `Settings.load` is how all of
them are read. Nothing is read at import time: a deploy takes a memory snapshot after the imports,
and whatever was read by then would be frozen into it.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, Self

import httpx
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic import ValidationInfo as Info

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

_HOST = re.compile(rb"[\w.:-]+")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOP_LEVEL = frozenset({"local", "preview"})
"""The values of ENVIRONMENT that stand for wrangler.toml's top level."""


class Environment(Protocol):
    """The Worker's variables, secrets and bindings by name; a dict is one."""

    def get(self, name: str, /) -> object:
        """The value called `name`, or None."""


class SettingsError(Exception):
    """Settings are missing or malformed.

    The message names each of them and says how to set it; it never holds a value.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))


class Settings(BaseModel):
    """Base of every feature's settings: one field a variable, its name the field's alias."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def load(cls, env: Environment) -> Self:
        """Read this model's variables from `env`; an empty one counts as not set.

        Raises SettingsError, naming all that are missing or malformed.
        """
        names = [field.alias or name for name, field in cls.model_fields.items()]
        values = {name: value for name in names if (value := _value(env, name))}
        try:
            return cls.model_validate(values, context={"local": is_local(env)})
        except ValidationError as error:
            fields = cls.model_fields.values()
            secrets = {f.alias for f in fields if f.annotation in (SecretStr, SecretStr | None)}
            environment = _environment(env)
            problems = [
                f"{name} {_what(e['type'], e['msg'])}: {_how(name, environment, name in secrets)}"
                for e in error.errors(include_url=False, include_input=False)
                for name in [str(e["loc"][0])]
            ]
            # Not chained: pydantic's own error can hold the values it refused.
            raise SettingsError(problems) from None


def is_local(env: Environment) -> bool:
    """Whether this is a run on a developer's machine; only .dev.vars says so."""
    return env.get("ENVIRONMENT") == "local"


def binding(env: Environment, name: str) -> Any:
    """The platform's own object behind a binding. Raises SettingsError where there is none."""
    found = env.get(name)
    if found is None:
        environment = _environment(env)
        where = f"[env.{environment}] of wrangler.toml" if environment else "wrangler.toml"
        raise SettingsError([f"{name} is not bound: declare the binding in {where}"])
    return found


def split(value: object) -> object:
    """The parts of a setting that are separated by commas; for a BeforeValidator."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _value(env: Environment, name: str) -> object:
    value = env.get(name)
    # `echo KEY | wrangler secret put` leaves a newline behind.
    return value.strip() if isinstance(value, str) else value


def _environment(env: Environment) -> str:
    """The environment of wrangler.toml that this Worker runs in; empty for the top level."""
    name = env.get("ENVIRONMENT")
    named = isinstance(name, str) and _NAME.fullmatch(name) and name not in _TOP_LEVEL
    return str(name) if named else ""


def _what(kind: str, message: str) -> str:
    return "is not set" if kind == "missing" else f"is malformed ({message})"


def _how(name: str, environment: str, is_secret: bool) -> str:
    """How to set a variable or a secret."""
    option, table = (f" --env {environment}", f"env.{environment}.") if environment else ("", "")
    how = (
        f"`npx wrangler secret put {name}{option}`"
        if is_secret
        else f"`{name}` under [{table}vars] of wrangler.toml"
    )
    return f"set it with {how}, for local runs in .dev.vars"


def service_url(text: str, *, local: bool) -> str:
    """An outside service's address, without a slash at its end.

    Raises ValueError unless it is https, or http on this machine in a `local` run.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if not _HOST.fullmatch(url.raw_host) or url.userinfo or url.query or url.fragment:
        raise ValueError("needs to be https://HOST[/PATH]")
    on_this_machine = url.scheme == "http" and url.host in LOOPBACK_HOSTS
    if url.scheme != "https" and not (on_this_machine and local):
        raise ValueError("needs https; http only on this machine when ENVIRONMENT is local")
    return text.rstrip("/")


def _service_url(text: str, info: Info) -> str:
    return service_url(text, local=bool(info.context and info.context["local"]))


ServiceUrl = Annotated[str, AfterValidator(_service_url)]
"""The address of an outside service, without a slash at its end."""


def _exact_url(text: str, info: Info) -> str:
    _service_url(text, info)
    return text


ExactUrl = Annotated[str, AfterValidator(_exact_url)]
"""The same, just as it was written: a name that is compared."""


def _header_safe(secret: SecretStr) -> SecretStr:
    # Before httpx refuses it in words that quote it.
    if not all("!" <= character <= "~" for character in secret.get_secret_value()):
        raise ValueError("needs to be visible ASCII characters without spaces")
    return secret


HeaderSecret = Annotated[SecretStr, AfterValidator(_header_safe)]
"""A secret that fits into a header."""
