"""The dependency policy: what it lets through, and what it stops where."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from forge_scaffold.errors import UserError
from tests.checks.support import told as told_of

PYPROJECT = """\
[project]
name = "x"
dependencies = [
  "httpx>=0.28.1,<1",
  "Typing_Extensions>=4.12",
]

[tool.forge]
transitive = ["h11", "annotated-types"]
platform = ["workers-runtime-sdk"]

[tool.forge.allow]
httpx = ">=0.27.2,<1"
sqlalchemy = ">=2.0.29,<3"
typing-extensions = ">=4.12"
"""

LOCK = """\
# made by: npm run lock
h11==0.16.0 \\
    --hash=sha256:aa \\
    --hash=sha256:ab
    # via httpcore
httpx==0.28.1 --hash=sha256:bb  # direct
typing-extensions==4.16.0 ; python_version < "3.15" --hash=sha256:cc
workers-runtime-sdk==1.9.5 --hash=sha256:dd
"""

GOOD: Mapping[str, str] = {
    "pyproject.toml": PYPROJECT,
    "requirements/worker.txt": LOCK,
    "src/entry.py": """\
import json, service.app
import js
from pyodide.ffi import to_js
from workers import Response
from . import service
from .. import anything
import httpx._models
import typing_extensions as t
""",
    "src/service/app.py": "from service import other\n",
    "src/service/other.py": "",
    "tests/test_x.py": "import pytest\n",
    "dev/server.py": "import cryptography\n",
}


def told(folder: Path, changes: Mapping[str, str]) -> list[str]:
    return told_of(folder, {**GOOD, **changes}, "DEP", "IMP001", "IMP003", "IMP004")


def test_what_is_allowed_passes(tmp_path: Path) -> None:
    assert told(tmp_path, {}) == []


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("requests>=2", "requests: not on the allow-list; remove it, or allow it"),
        ("Requests", "requests: not on the allow-list"),
        ("h11>=0.16", "DEP003 h11: allowed only through another package"),
        ("httpx>=0.20", "httpx: >=0.20 admits 0.20"),
        ("httpx", "httpx: any version admits 0"),
        ("httpx>=0.28", "httpx: >=0.28 admits 1"),
        ("httpx~=0.28", None),
        ("httpx==0.28.*", None),
        ("httpx @ git+https://example.org/httpx", "httpx: an address is no version"),
        ("httpx @ file:///tmp/httpx", "httpx: an address is no version"),
        ("./vendored/httpx", "./vendored/httpx: not a requirement (PEP 508)"),
        ("git+https://example.org/httpx", "not a requirement (PEP 508)"),
    ],
)
def test_a_declared_dependency_is_held_against_the_list(
    tmp_path: Path, requirement: str, message: str | None
) -> None:
    pyproject = PYPROJECT.replace('"httpx>=0.28.1,<1"', f'"{requirement}"')
    files = {"pyproject.toml": pyproject, "src/entry.py": ""}
    found = told(tmp_path, files)
    if message is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith("pyproject.toml:4: ")
        assert message in found[0]


def test_an_optional_dependency_is_not_uploaded(tmp_path: Path) -> None:
    extra = '\n[project.optional-dependencies]\nmore = ["requests"]\n'
    assert told(tmp_path, {"pyproject.toml": PYPROJECT + extra}) == []


SPECIFIERS = st.lists(
    st.builds(
        lambda operator, version: f"{operator}{version}",
        st.sampled_from([">=", "<=", "<", ">", "==", "!=", "~="]),
        st.builds(lambda *parts: ".".join(map(str, parts)), *[st.integers(0, 3)] * 2),
    ),
    max_size=3,
).map(",".join)


@given(wide=SPECIFIERS, narrow=SPECIFIERS)
def test_a_range_passes_just_when_the_list_admits_all_of_it(
    tmp_path_factory: pytest.TempPathFactory, wide: str, narrow: str
) -> None:
    versions = [
        f"{major}.{minor}.{micro}" for major in range(6) for minor in range(6) for micro in (0, 1)
    ]
    inside = all(
        SpecifierSet(narrow).contains(version) for version in SpecifierSet(wide).filter(versions)
    )
    pyproject = (
        f'[project]\ndependencies = ["p{wide}"]\n[tool.forge]\n[tool.forge.allow]\np = "{narrow}"\n'
    )
    folder = tmp_path_factory.getbasetemp() / "ranges"
    assert (told_of(folder, {"pyproject.toml": pyproject}, "DEP002") == []) == inside


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("requests==2.32.0 --hash=sha256:ee", "requests: locked for the Worker, but neither"),
        ("httpx==1.2 --hash=sha256:ee", "httpx: 1.2 is outside >=0.27.2,<1"),
        ("httpx==nonsense --hash=sha256:ee", "httpx: nonsense is outside"),
        ("httpx==0.28.1", "httpx: locked without a hash"),
        ("httpx>=0.28.1", "not pinned to one version"),
        ("httpx", "httpx: not pinned"),
        ("httpx @ https://example.org/httpx.whl", "not pinned"),
        ("-e .", "-e: not pinned"),
        ("-r other.txt", "-r: not pinned"),
        ("--extra-index-url https://example.org/simple", "--extra-index-url: not pinned"),
        ("git+https://example.org/httpx", "not pinned"),
    ],
)
def test_a_locked_package_is_held_against_the_list(tmp_path: Path, line: str, message: str) -> None:
    (found,) = told(tmp_path, {"requirements/worker.txt": f"{LOCK}{line}\n"})
    assert found.startswith(f"requirements/worker.txt:{len(LOCK.splitlines()) + 1}: ")
    assert message in found


def test_what_only_uv_locks_is_found_too(tmp_path: Path) -> None:
    lock = """\
version = 1
[[package]]
name = "x"
source = { virtual = "." }
dependencies = [{ name = "httpx" }]
[package.dev-dependencies]
dev = [{ name = "pytest" }]

[[package]]
name = "httpx"
version = "0.28.1"
source = { registry = "r" }
dependencies = [{ name = "requests" }, { name = "h11" }]

[[package]]
name = "h11"
version = "0.16.0"
source = { registry = "r" }

[[package]]
name = "pytest"
version = "9"
source = { registry = "r" }

[[package]]
name = "requests"
version = "2"
source = { registry = "r" }
dependencies = [{ name = "httpx" }]
"""
    files = {
        "uv.lock": lock,
        "pyproject.toml": PYPROJECT.replace('  "Typing_Extensions>=4.12",\n', ""),
    }
    files["src/entry.py"] = "import httpx"
    (found,) = told(tmp_path, files)
    assert found.startswith("uv.lock:26: DEP011 requests: locked for the Worker")


@pytest.mark.parametrize(
    ("source", "line", "message"),
    [
        ("import requests", 1, "requests: imported but not on the allow-list"),
        ("\nimport os, requests.adapters as r", 2, "requests: imported"),
        ("from requests import get", 1, "requests: imported"),
        ("def f():\n    import requests", 2, "requests: imported"),
        ("import importlib\nimportlib.import_module('requests.x')", 2, "requests: imported"),
        ("from importlib import import_module\nimport_module('requests')", 2, "requests: imported"),
        ("__import__('requests')", 1, "requests: imported"),
        ("import sqlalchemy", 1, "sqlalchemy: imported but not declared; add sqlalchemy to"),
        ("import h11", 1, "h11: imported, though only another package's own dependency"),
        ("import annotated_types", 1, "annotated_types: imported, though"),
    ],
)
def test_an_import_is_held_against_the_list(
    tmp_path: Path, source: str, line: int, message: str
) -> None:
    (found,) = told(tmp_path, {"src/service/deep/down.py": source})
    assert found.startswith(f"src/service/deep/down.py:{line}: ")
    assert message in found


@pytest.mark.parametrize(
    "source",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import requests",
        "try:\n    import requests\nexcept ImportError: ...",
        'if __name__ == "__main__":\n    import requests',
    ],
)
def test_an_import_that_need_not_work_may_be_of_anything(tmp_path: Path, source: str) -> None:
    assert told(tmp_path, {"src/service/deep/down.py": source}) == []


def test_only_what_is_uploaded_is_checked(tmp_path: Path) -> None:
    assert told(tmp_path, {"tests/more.py": "import requests", "dev/x.py": "import requests"}) == []


@pytest.mark.parametrize("versions", ['"newest"', "1", "[]", "{ a = 1 }"])
def test_an_allow_list_that_is_none_is_refused(tmp_path: Path, versions: str) -> None:
    pyproject = PYPROJECT.replace('">=0.27.2,<1"', versions)
    with pytest.raises(UserError, match=r"pyproject\.toml: \[tool\.forge\.allow\]: httpx: "):
        told(tmp_path, {"pyproject.toml": pyproject})


SOURCE = """
[tool.uv.sources]
shared-models = {}
"""


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("{ workspace = true }", None),
        ('{ path = "../shared-models", editable = true }', None),
        ('{ path = "../shared-models" }', None),
        ('{ index = "internal" }', None),
        ("[{ workspace = true, marker = \"sys_platform == 'emscripten'\" }]", None),
        ('{ path = "dist/shared_models-1-py3-none-any.whl" }', "file"),
        ('{ git = "https://example.org/shared.git" }', "git"),
        ('[{ url = "https://example.org/shared-1.tar.gz" }]', "url"),
        ("true", None),
    ],
)
def test_a_folder_of_ones_own_is_allowed_by_name(
    tmp_path: Path, source: str, found: str | None
) -> None:
    base = PYPROJECT.replace('"httpx>=0.28.1,<1",', '"httpx>=0.28.1,<1", "shared-models",')
    allowed = base + 'shared-models = ""\n' + SOURCE.format(source)
    lock = {"requirements/worker.txt": LOCK + "shared-models==0.1.0 --hash=sha256:ee\n"}
    uses = {"src/entry.py": GOOD["src/entry.py"] + "import shared_models\n"}
    findings = told(tmp_path, {"pyproject.toml": allowed, **lock, **uses})
    assert [each.partition(": ")[2].partition(", which")[0] for each in findings] == (
        [f"DEP004 shared-models: taken from a {found}"] if found else []
    )
    unlisted = base + SOURCE.format(source)
    findings = told(tmp_path, {"pyproject.toml": unlisted, **lock, **uses})
    assert any("DEP001 shared-models: not on the allow-list" in each for each in findings)
