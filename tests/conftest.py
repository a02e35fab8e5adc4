"""What holds for all tests."""

import pytest
from hypothesis import settings

# How long an example takes says more of the machine than of the code.
settings.register_profile("forge", deadline=None)
settings.load_profile("forge")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-matrix",
        action="store_true",
        help="check whole projects of all combinations of answers, not only of all pairs",
    )
