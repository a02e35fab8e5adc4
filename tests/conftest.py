"""What holds for all tests."""

import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import GIT_ENVIRONMENT, small_template

# How long an example takes says more of the machine than of the code.
settings.register_profile("forge", deadline=None)
settings.load_profile("forge")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-matrix",
        action="store_true",
        help="check whole projects of all combinations of answers, not only of all pairs",
    )


def pytest_configure() -> None:
    # What is started with `nohup` or `&` inherits these as ignored, and would hand that on to the
    # processes of the tests, which are there to be stopped.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """The small template, outside git."""
    return small_template(tmp_path / "template")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder to run in."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture(autouse=True)
def git_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git has an author and no configuration of the user's, also when forge runs it."""
    for name, value in GIT_ENVIRONMENT.items():
        if name.startswith("GIT_"):
            monkeypatch.setenv(name, value)
