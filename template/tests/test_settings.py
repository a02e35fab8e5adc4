"""Settings: what is read, what is refused, and that no value is ever told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, SecretStr, ValidationError

from service.settings import ServiceUrl, Settings, SettingsError, binding, is_local


class Example(Settings):
    key: SecretStr = Field(alias="EXAMPLE_API_KEY")
    url: ServiceUrl = Field(alias="EXAMPLE_BASE_URL", default="https://api.example.com")
    count: int = Field(alias="EXAMPLE_COUNT", default=1)


def test_values_come_from_the_environment() -> None:
    settings = Example.load({"EXAMPLE_API_KEY": "k", "EXAMPLE_BASE_URL": "https://x.example/v1/"})
    assert settings.key.get_secret_value() == "k"
    assert settings.url == "https://x.example/v1"


def test_they_cannot_be_changed() -> None:
    settings = Example.load({"EXAMPLE_API_KEY": "k"})
    with pytest.raises(ValidationError):
        settings.count = 2


def test_a_secret_is_not_printed() -> None:
    assert "hidden" not in repr(Example.load({"EXAMPLE_API_KEY": "hidden"}))


def test_the_newline_that_echo_leaves_is_no_part_of_a_secret() -> None:
    settings = Example.load({"EXAMPLE_API_KEY": "k\n"})
    assert settings.key.get_secret_value() == "k"


def test_an_empty_variable_is_not_set() -> None:
    settings = Example.load({"EXAMPLE_API_KEY": "k", "EXAMPLE_BASE_URL": " "})
    assert settings.url == "https://api.example.com"


def test_all_that_is_wrong_is_named_with_its_remedy() -> None:
    with pytest.raises(SettingsError) as caught:
        Example.load({"EXAMPLE_COUNT": "value-x", "EXAMPLE_BASE_URL": "ftp://value-y"})
    message = str(caught.value)
    assert (
        "EXAMPLE_API_KEY is not set: set it with `npx wrangler secret put EXAMPLE_API_KEY`"
        in message
    )
    assert "EXAMPLE_BASE_URL is malformed" in message
    assert "EXAMPLE_COUNT is malformed" in message
    assert "wrangler.toml" in message


@pytest.mark.parametrize(
    ("environment", "option", "table"),
    [
        ("production", " --env production", "env.production."),
        ("staging", " --env staging", "env.staging."),
        ("preview", "", ""),
        ("local", "", ""),
        (None, "", ""),
        ("of no\nenvironment", "", ""),
    ],
)
def test_the_remedy_names_the_environment(environment: str | None, option: str, table: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Example.load({"EXAMPLE_COUNT": "x", "ENVIRONMENT": environment})
    message = str(caught.value)
    assert f"`npx wrangler secret put EXAMPLE_API_KEY{option}`" in message
    assert f"`EXAMPLE_COUNT` under [{table}vars] of wrangler.toml" in message


@given(st.text(min_size=8).filter(lambda text: text.strip() not in ("", "https://")))
def test_no_refused_value_is_told(text: str) -> None:
    value = f"sEcReT{text}"
    with pytest.raises(SettingsError) as caught:
        Example.load({"EXAMPLE_BASE_URL": value, "EXAMPLE_COUNT": value})
    assert "sEcReT" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "http://127.0.0.1:8000",
        "https://",
        "https://user:pass@api.example.com",
        "https://api.example.com?key=1",
        "https://api.example.com#x",
        "https://[::1",
        "https://api.example.com:port",
        "https://api example.com",
        "api.example.com",
        "file:///etc/passwd",
    ],
)
def test_an_address_that_is_not_safe_to_call(url: str) -> None:
    with pytest.raises(SettingsError, match="EXAMPLE_BASE_URL is malformed"):
        Example.load({"EXAMPLE_API_KEY": "k", "EXAMPLE_BASE_URL": url})


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:1"])
def test_plain_http_is_for_this_machine_in_local_runs(host: str) -> None:
    env = {"EXAMPLE_API_KEY": "k", "EXAMPLE_BASE_URL": f"http://{host}", "ENVIRONMENT": "local"}
    assert Example.load(env).url == f"http://{host}"


def test_plain_http_to_elsewhere_is_refused_in_local_runs_too() -> None:
    env = {"EXAMPLE_API_KEY": "k", "EXAMPLE_BASE_URL": "http://x.example", "ENVIRONMENT": "local"}
    with pytest.raises(SettingsError):
        Example.load(env)


@pytest.mark.parametrize("name", ["preview", "staging", "production", "LOCAL", ""])
def test_only_one_name_is_local(name: str) -> None:
    assert not is_local({"ENVIRONMENT": name})


def test_a_binding_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match="DB is not bound"):
        binding({}, "DB")
    with pytest.raises(SettingsError, match=r"in \[env\.staging\] of wrangler\.toml$"):
        binding({"ENVIRONMENT": "staging"}, "DB")
