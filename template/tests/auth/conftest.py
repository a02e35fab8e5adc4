"""Fixtures for tests of who is calling."""

from uuid import uuid4

import pytest

from tests.auth.issuer import Clock, Issuer, KeyServer
from tests.support.standins import ISSUER, StandinsView


@pytest.fixture
def issuer(standins: StandinsView) -> Issuer:
    return Issuer(standins.url + ISSUER, standins.http)


@pytest.fixture
def key_server(standins: StandinsView) -> KeyServer:
    return KeyServer(f"{standins.url}/keys/{uuid4().hex}", standins.http)


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000)
