"""Fixtures, the same on CPython and inside workerd."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import getrandbits
from uuid import uuid4

import httpx
import pytest

from service.context import Context
from service.features import FEATURES
from service.http import client as http_client
from service.runtime import Runtime, StartSpan, VerifySignature, no_span
from service.settings import Environment
from tests.custom.environment import ENV
from tests.support.choices import HAS_AUTH, PROVIDERS, variable
from tests.support.clients import AppTransport, here
from tests.support.standins import AUTH_ENV, BASE_PATHS, ISSUER, KEY, StandinsView, credentials

pytest_plugins = ["tests.custom.fixtures"]

Env = dict[str, object]

# Inside workerd the service is also served on these addresses, and tested there over HTTP.
SERVED_AT = os.environ.get("WORKER_URL")
SERVED_UNCONFIGURED_AT = os.environ.get("WORKER_URL_UNCONFIGURED")
TRIGGERED_AT = os.environ.get("WORKER_TRIGGERS_URL")
WAYS = ["in-process", "over-http"] if SERVED_AT else ["in-process"]


@pytest.fixture(scope="session")
def standins_url() -> Iterator[str]:
    """The stand-ins' address: STANDINS_URL's, else that of new ones."""
    if running := os.environ.get("STANDINS_URL"):
        yield running
        return
    from dev.standins import Standins  # noqa: PLC0415 - needs threads and sockets

    try:
        standins = Standins()
    except RuntimeError as error:
        pytest.exit(str(error), returncode=1)  # once, not in each test that asks for them
    with standins:
        yield standins.url


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """The service's own HTTP client."""
    async with http_client(here.transport()) as client:
        yield client


@pytest.fixture
def standins(standins_url: str, http: httpx.AsyncClient) -> StandinsView:
    """The stand-ins."""
    return StandinsView(standins_url, http)


@pytest.fixture
def verify_signature() -> VerifySignature:
    """The platform's signature check."""
    return here.verify_signature


@pytest.fixture
def env(standins_url: str) -> Env:
    """A complete environment, its outside services the stand-ins."""
    return {
        "ENVIRONMENT": "local",
        "RETRY_DELAY": "0.001",
        **provider_env(standins_url),
        "AI_GATEWAY_BASE_URL": f"{standins_url}/gateway",
        "AI_GATEWAY_ACCOUNT_ID": "0" * 32,
        "AI_GATEWAY_ID": "standin",
        "AUTH_ISSUER": f"{standins_url}{ISSUER}",
        **AUTH_ENV,
        "TELEMETRY_HASH_KEY": KEY,
        "QUOTA_REQUESTS_PER_DAY": "200",
        "QUOTA_TOKENS_PER_DAY": "200000",
        "RATE_LIMIT_PERIOD": "60",
        "TURSO_DATABASE_URL": f"{standins_url}/turso/main",
        "TURSO_AUTH_TOKEN": KEY,
        "UPSTASH_REDIS_REST_URL": f"{standins_url}/upstash",
        "UPSTASH_REDIS_REST_TOKEN": KEY,
        **here.bindings(),
        **ENV,
    }


@pytest.fixture(params=WAYS)
async def anyone(request: pytest.FixtureRequest, env: Env) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the configured service, from somewhere new, that says nothing of who it is."""
    async with served_at(SERVED_AT) if request.param == "over-http" else serve(env) as client:
        client.headers["cf-connecting-ip"] = new_address()
        yield client


@pytest.fixture
async def client(anyone: httpx.AsyncClient, standins: StandinsView) -> httpx.AsyncClient:
    """A client of the configured service, as a new caller where there are callers."""
    return await as_new_caller(anyone, standins)


@pytest.fixture
async def served(standins: StandinsView) -> AsyncIterator[httpx.AsyncClient]:
    """The same over HTTP only, for what needs a real Worker: see SERVED_AT."""
    async with served_at(SERVED_AT) as client:
        client.headers["cf-connecting-ip"] = new_address()
        yield await as_new_caller(client, standins)


@pytest.fixture(params=WAYS)
async def unconfigured(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that has no secret and no setting."""
    over_http = request.param == "over-http"
    async with served_at(SERVED_UNCONFIGURED_AT) if over_http else serve({}) as client:
        yield client


@pytest.fixture
def marker() -> str:
    """A text that no other test says, to find this one's calls in the stand-ins' journal."""
    return new_name()


def provider_env(standins_url: str) -> Env:
    """The settings of every provider, for the stand-ins."""
    env: Env = {}
    for provider in PROVIDERS:
        env[variable(provider, "API_KEY")] = KEY
        env[variable(provider, "BASE_URL")] = standins_url + BASE_PATHS[provider]
        env[variable(provider, "MODEL")] = "standin-echo"
        env[variable(provider, "MODELS")] = "*"
        # For the provider whose path below a gateway is a setting.
        env[variable(provider, "GATEWAY_PATH")] = "standin/v1"
    return env


def serve(env: Environment, start_span: StartSpan = no_span) -> httpx.AsyncClient:
    """A client of the service in this process, with `env` as its environment."""
    return httpx.AsyncClient(transport=in_process(env, start_span), base_url="http://localhost")


def in_process(env: Environment, start_span: StartSpan = no_span) -> AppTransport:
    """The service in this process, also to be reached without HTTP."""
    return AppTransport(runtime(env, start_span))


@asynccontextmanager
async def service_context(env: Environment) -> AsyncIterator[Context]:
    """The parts of the service in `env`."""
    platform = runtime(env)
    try:
        yield Context(platform, FEATURES)
    finally:
        await platform.transport.aclose()


def runtime(env: Environment, start_span: StartSpan = no_span) -> Runtime:
    """What the service is built on, in `env`."""
    return Runtime(env, here.transport(), here.verify_signature, here.verify_hmac, start_span)


async def as_new_caller(client: httpx.AsyncClient, standins: StandinsView) -> httpx.AsyncClient:
    if HAS_AUTH:
        client.headers.update(credentials(await standins.token({"sub": new_name()})))
    return client


def served_at(url: str | None) -> httpx.AsyncClient:
    """A client of the service that is served at `url`."""
    # How long an answer takes says more of the machine than of the service.
    return httpx.AsyncClient(transport=here.transport(), base_url=str(url), timeout=60)


def new_address() -> str:
    """An address that no other test calls from, in a network of its own."""
    return f"2001:db8:{getrandbits(16):x}:{getrandbits(16):x}::1"


def new_name() -> str:
    return f"test-{uuid4().hex}"
