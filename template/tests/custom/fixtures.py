"""Your own fixtures, for every test.

    @pytest.fixture
    def greeting() -> str:
        return "Hello"

Fixtures for the tests in this folder alone go into a conftest.py beside them.
"""
