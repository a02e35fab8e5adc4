"""RUN604: httpx without a transport, by which httpx the Worker gets."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold.checks.examples import BASE, files
from forge_scaffold.checks.finding import Severity
from tests.checks.support import checked

CLIENT = {
    "src/service.py": "from httpx import AsyncClient as Client\n\n\nasync def answer(env):\n"
    "    async with Client() as client:\n"
    '        return (await client.get("https://example.org")).text\n'
}
PYPROJECT = BASE["pyproject.toml"]
UNDECLARED = {"pyproject.toml": PYPROJECT.replace('"httpx>=0.28,<1"', "")}


def declared(requirement: str) -> dict[str, str]:
    return {"pyproject.toml": PYPROJECT.replace("httpx>=0.28,<1", requirement)}


def pylock(version: str, index: str, wheel: str) -> dict[str, str]:
    return {
        "pylock.toml": f'[[packages]]\nname = "httpx"\nversion = "{version}"\n'
        f'index = "{index}"\nwheels = [{{ url = "{wheel}", hashes = {{}} }}]\n'
    }


PYPI = ("https://pypi.org/simple", "https://files.pythonhosted.org/p/httpx-0.28.1-py3-none-any.whl")
PYODIDE = ("https://index.pyodide.org/0.28.3", "https://cdn.example.org/httpx-0.28.1-py3.whl")


def severities(folder: Path, more: Mapping[str, str]) -> list[Severity]:
    found = checked(folder, files({**CLIENT, **more}), "RUN604")
    assert all((each.place.path.name, each.place.line) == ("service.py", 5) for each in found)
    return [each.severity for each in found]


@pytest.mark.parametrize(
    "more",
    [
        {"requirements/worker.txt": f"httpx==0.28.1 --hash=sha256:{'a1' * 32}\n"},
        pylock("0.28.1", *PYPI),
        pylock("0.27.2", *PYODIDE),
        declared("httpx>=0.27,<0.28"),
        declared("httpx==0.27.*"),
        declared("httpx>=0.29"),
        {**UNDECLARED, "requirements.txt": "HTTPX==0.27.2\n"},
        {"python_modules/httpx/_transports/default.py": "import httpcore\n"},
        {**UNDECLARED, "python_modules/httpx/_transports/default.py": "import httpcore\n"},
    ],
    ids=range(9),
)
def test_pypis_httpx_is_an_error(tmp_path: Path, more: Mapping[str, str]) -> None:
    assert severities(tmp_path, more) == [Severity.ERROR]


@pytest.mark.parametrize(
    "more",
    [
        pylock("0.28.1", *PYODIDE),
        {"python_modules/httpx/_transports/jsfetch.py": "import js\nimport pyodide\n"},
    ],
    ids=["locked", "vendored"],
)
def test_pyodides_is_none(tmp_path: Path, more: Mapping[str, str]) -> None:
    assert severities(tmp_path, more) == []


@pytest.mark.parametrize(
    "more",
    [
        {},
        UNDECLARED,
        {"requirements.txt": "httpx\n"},
        declared("httpx @ https://example.org/x.whl"),
    ],
    ids=["declared", "undeclared", "requirements.txt", "an address"],
)
def test_where_it_is_open_one_call_is_noted(tmp_path: Path, more: Mapping[str, str]) -> None:
    again = CLIENT["src/service.py"].replace("answer", "again")
    assert severities(tmp_path, {**more, "src/zweiter.py": again}) == [Severity.NOTE]


@pytest.mark.parametrize(
    "source",
    [
        "client = httpx.AsyncClient(transport=make())",
        "client = httpx.AsyncClient(mounts={})",
        "client = httpx.AsyncClient(**options)",
        "client = AsyncClient()",
        'if __name__ == "__main__":\n    httpx.get("https://example.org")',
    ],
)
def test_what_brings_a_transport_or_never_runs_is_fine(tmp_path: Path, source: str) -> None:
    lock = {"requirements/worker.txt": "httpx==0.28.1\n"}
    service = {"src/service.py": f"import httpx\n\n{source}\n"}
    assert checked(tmp_path, files({**lock, **service}), "RUN604") == []


@pytest.mark.parametrize(
    "more",
    [
        {"wrangler.toml": 'name = "example"\nmain = "src/index.js"\n'},
        {"src/service.py": "", "tests/test_service.py": CLIENT["src/service.py"]},
        {"src/service.py": "", "scripts/load.py": CLIENT["src/service.py"]},
    ],
    ids=["JavaScript", "tests", "scripts"],
)
def test_other_code_than_a_workers_may_open_sockets(
    tmp_path: Path, more: Mapping[str, str]
) -> None:
    lock = {"requirements/worker.txt": "httpx==0.28.1\n"}
    assert checked(tmp_path, files({**CLIENT, **lock, **more}), "RUN604") == []


@given(index=st.text(), wheel=st.text(), version=st.text())
def test_a_lock_may_say_anything(
    tmp_path_factory: pytest.TempPathFactory, index: str, wheel: str, version: str
) -> None:
    texts = (
        json.dumps(text.encode(errors="ignore").decode())[1:-1] for text in (version, index, wheel)
    )
    folder = tmp_path_factory.mktemp("lock")
    checked(folder, files({**CLIENT, **pylock(*texts)}), "RUN604")
