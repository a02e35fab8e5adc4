"""What a project declares, in every format that says so; whatever else a file may hold."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_scaffold.audit import imports
from forge_scaffold.declarations.inputs import Inputs, read
from forge_scaffold.declarations.poetry import pep440
from forge_scaffold.errors import UserError
from tests.support import write

if TYPE_CHECKING:
    from forge_scaffold.declarations.dependency import Dependency

NOTHING: frozenset[str] = frozenset()


def found(folder: Path, files: Mapping[str, str], extras: str = "", groups: str = "") -> Inputs:
    write(folder, files)
    return read(folder, frozenset(extras.split()), frozenset(groups.split()))


def requirements(inputs: Inputs) -> list[str]:
    return [dependency.requirement for dependency in inputs.dependencies]


FORMATS: Mapping[str, tuple[Mapping[str, str], list[str]]] = {
    "pep 621": (
        {"pyproject.toml": '[project]\ndependencies = ["Httpx[http2]>=0.27", "a==1.5"]\n'},
        ["Httpx[http2]>=0.27", "a>=1.5"],
    ),
    "poetry": (
        {
            "pyproject.toml": """\
[tool.poetry.dependencies]
python = "^3.12"
a = "^1.2"
b = {version = "~2.1", extras = ["x"]}
c = "*"
d = [{version = "^1", python = "<3"}, {version = "^2"}]
"""
        },
        ["a<2,>=1.2", "b[x]<2.2,>=2.1", "c", "d<2,>=1"],
    ),
    "flit": ({"pyproject.toml": '[tool.flit.metadata]\nrequires = ["a>=1"]\n'}, ["a>=1"]),
    "setuptools, from a file": (
        {
            "pyproject.toml": """\
[project]
dynamic = ["dependencies"]
[tool.setuptools.dynamic]
dependencies = {file = ["needs.txt"]}
""",
            "needs.txt": "a>=1\n",
        },
        ["a>=1"],
    ),
    "setup.cfg": (
        {"setup.cfg": "[options]\ninstall_requires =\n    a>=1\n    b; python_version<'3'\n"},
        ["a>=1"],
    ),
    "pipfile": ({"Pipfile": '[packages]\na = ">=1"\nb = {version = "*"}\n'}, ["a>=1", "b"]),
    "requirements": (
        {
            "requirements.txt": """\
# what runs
-r base.txt
a>=1 \\
    --hash=sha256:00 --hash=sha256:11  # a comment
b ; sys_platform == "win32"
""",
            "base.txt": "c~=2.0\n",
        },
        ["c~=2.0", "a>=1"],
    ),
    "compiled requirements": (
        {
            "requirements.txt": """\
anyio==4.0
    # via httpx
httpx==0.27
    # via -r requirements.in
h11==0.14  # via httpcore
"""
        },
        ["httpx>=0.27"],
    ),
    "uv.lock": (
        {
            "uv.lock": """\
[[package]]
name = "x"
source = { virtual = "." }
dependencies = [{ name = "a", extra = ["y"] }, { name = "b", marker = "sys_platform == 'win32'" }]
[[package]]
name = "a"
version = "1.5"
dependencies = [{ name = "c" }]
[[package]]
name = "c"
version = "1"
"""
        },
        ["a[y]"],
    ),
    "poetry.lock": (
        {
            "poetry.lock": """\
[[package]]
name = "a"
version = "1.5"
[package.dependencies]
c = ">=1"
[[package]]
name = "c"
version = "1"
"""
        },
        ["a"],
    ),
    "pylock.toml": (
        {
            "pylock.toml": """\
[[packages]]
name = "a"
version = "1.5"
dependencies = [{ name = "c" }]
[[packages]]
name = "c"
version = "1"
"""
        },
        ["a"],
    ),
}


@pytest.mark.parametrize(("files", "expected"), FORMATS.values(), ids=list(FORMATS))
def test_each_format_tells_the_direct_dependencies(
    tmp_path: Path, files: Mapping[str, str], expected: list[str]
) -> None:
    assert requirements(found(tmp_path, files)) == expected


GROUPS = """\
[project]
dependencies = ["a"]
[project.optional-dependencies]
server = ["b"]
[dependency-groups]
test = ["c"]
dev = [{include-group = "test"}, "d", {include-group = "dev"}]
[tool.uv]
dev-dependencies = ["e"]
"""


def test_extras_and_groups_are_left_out_and_counted(tmp_path: Path) -> None:
    inputs = found(tmp_path, {"pyproject.toml": GROUPS})
    assert requirements(inputs) == ["a"]
    assert inputs.left_out == {"extra server": 1, "group test": 1, "group dev": 3}


def test_extras_and_groups_come_in_by_name(tmp_path: Path) -> None:
    inputs = found(tmp_path, {"pyproject.toml": GROUPS}, extras="server", groups="dev")
    assert requirements(inputs) == ["a", "b", "c", "d", "e"]


def test_one_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no group 'prod'; it has: dev, test"):
        found(tmp_path, {"pyproject.toml": GROUPS}, groups="prod")


def test_a_lock_beside_the_declaration_tells_the_version_of_today(tmp_path: Path) -> None:
    files = {**FORMATS["uv.lock"][0], "pyproject.toml": '[project]\ndependencies = ["a"]\n'}
    (dependency,) = found(tmp_path, files).dependencies
    assert (dependency.locked, dependency.place) == ("1.5", "pyproject.toml:2")


@pytest.mark.parametrize(
    "line",
    [
        "a @ git+https://example.org/a",
        "git+https://example.org/a.git@main#egg=a",
        "-e ./a",
        "https://example.org/a-1.0-py3-none-any.whl",
        "./vendored/a",
    ],
)
def test_an_address_is_listed_with_its_problem(tmp_path: Path, line: str) -> None:
    (dependency,) = found(tmp_path, {"requirements.txt": f"{line}\n"}).dependencies
    assert (dependency.name, dependency.place) == ("a", "requirements.txt:1")
    assert dependency.problem


def sourced(source: str) -> dict[str, str]:
    return {
        "pyproject.toml": f'[project]\ndependencies = ["a>=1", "B_c"]\n'
        f"[tool.uv.sources]\nb-C = {source}\n"
    }


@pytest.mark.parametrize(
    ("source", "local"),
    [
        ('{ path = "../b" }', True),
        ('{ path = "../b", editable = true }', True),
        ("{ workspace = true }", True),
        ('{ path = "b-1.0.tar.gz" }', False),
        ('{ git = "https://example.org/b" }', False),
        ('{ url = "https://example.org/b.whl" }', False),
        ('[{ path = "../b", marker = "sys_platform == \'emscripten\'" }, { index = "own" }]', True),
    ],
)
def test_what_uv_takes_from_elsewhere_is_no_question_for_an_index(
    tmp_path: Path, source: str, *, local: bool
) -> None:
    one, other = found(tmp_path, sourced(source)).dependencies
    assert (one.name, one.problem) == ("a", "")
    assert (other.name, other.local, bool(other.problem)) == ("b-c", local, True)


@pytest.mark.parametrize(
    "source",
    [
        '{ index = "own" }',
        "{ workspace = false }",
        '[{ path = "../b", marker = "sys_platform == \'win32\'" }, { index = "own" }]',
        '[{ path = "../b", marker = "sys_platform == \'win32\'" }]',
        "1",
    ],
)
def test_what_uv_takes_from_an_index_is_one(tmp_path: Path, source: str) -> None:
    assert [each.problem for each in found(tmp_path, sourced(source)).dependencies] == ["", ""]


LOCAL: Mapping[str, Mapping[str, str]] = {
    "pep 508": {"pyproject.toml": '[project]\ndependencies = ["a @ file:///srv/a"]\n'},
    "poetry": {"pyproject.toml": '[tool.poetry.dependencies]\na = { path = "../a" }\n'},
    "pipfile": {"Pipfile": '[packages]\na = { path = "./a", editable = true }\n'},
    "requirements": {"requirements.txt": "-e ./a\n"},
    "uv.lock": {
        "uv.lock": """\
[[package]]
name = "x"
source = { virtual = "." }
dependencies = [{ name = "a" }]
[[package]]
name = "a"
version = "1"
source = { editable = "packages/a" }
"""
    },
    "poetry.lock": {
        "poetry.lock": '[[package]]\nname = "a"\nversion = "1"\n'
        '[package.source]\ntype = "directory"\nurl = "a"\n'
    },
    "pylock.toml": {
        "pylock.toml": '[[packages]]\nname = "a"\nversion = "1"\ndirectory = { path = "a" }\n'
    },
}


@pytest.mark.parametrize("files", LOCAL.values(), ids=list(LOCAL))
def test_a_folder_of_ones_own_is_known_as_one(tmp_path: Path, files: Mapping[str, str]) -> None:
    (only,) = found(tmp_path, files).dependencies
    assert (only.name, only.local) == ("a", True)


def test_a_lock_says_what_comes_from_a_repository(tmp_path: Path) -> None:
    lock = LOCAL["uv.lock"]["uv.lock"].replace("editable", "git")
    (only,) = found(tmp_path, {"uv.lock": lock}).dependencies
    assert (only.name, only.local, bool(only.problem)) == ("a", False, True)


@pytest.mark.parametrize("line", [".", "-e .", "-e ./", ".[dev]"])
def test_the_project_itself_is_none_of_its_dependencies(tmp_path: Path, line: str) -> None:
    read = found(tmp_path, {"requirements.txt": f"a\n{line}\n"})
    assert [dependency.name for dependency in read.dependencies] == ["a"]
    assert read.notes == ("requirements.txt:2: the project itself; name its pyproject.toml",)


def test_an_address_without_a_name_is_listed_too(tmp_path: Path) -> None:
    (dependency,) = found(tmp_path, {"requirements.txt": "../..\n"}).dependencies
    assert (dependency.name, bool(dependency.problem)) == ("unnamed", True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("pyproject.toml", "[project", "pyproject.toml: not TOML"),
        ("pyproject.toml", '[project]\ndependencies = ["a b"]', "pyproject.toml:2: not a requirem"),
        ("pyproject.toml", '[tool.poetry.dependencies]\na = "^x"', "pyproject.toml:2: a: not a c"),
        ("pyproject.toml", '[tool.poetry.dependencies]\nd = {extras=[">"]}', ":2: d: not a constr"),
        ("requirements.txt", "a\na b c\n", "requirements.txt:2: not a requirement"),
        ("requirements.txt", "-r requirements.txt\n", "includes itself"),
        ("requirements.txt", "-r missing.txt\n", "missing.txt: no such file"),
        ("setup.cfg", "[options\n", "setup.cfg: "),
        ("notes.md", "# Notes\n", "not a file of a known kind"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_its_place(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    write(tmp_path, {name: content})
    with pytest.raises(UserError, match=message):
        read(tmp_path / name, NOTHING, NOTHING)


def test_a_folder_that_declares_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing says what it depends on"):
        found(tmp_path, {"README.md": "x\n"})


@pytest.mark.parametrize("source", ["raise SystemExit\n", "print 'of long ago'\n"])
def test_a_setup_py_that_says_nothing_gives_way_to_a_requirements_file(
    tmp_path: Path, source: str
) -> None:
    inputs = found(tmp_path, {"setup.py": source})
    assert inputs.dependencies == ()
    assert inputs.notes[0].endswith("and a setup.py is not run")
    inputs = found(tmp_path, {"setup.py": source, "requirements.txt": "a\n"})
    assert requirements(inputs) == ["a"]


@pytest.mark.parametrize(
    ("poetic", "standard"),
    [
        ("^1.2.3", ">=1.2.3,<2"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("^0.0.3", ">=0.0.3,<0.0.4"),
        ("^0", ">=0,<1"),
        ("~1.2.3", ">=1.2.3,<1.3"),
        ("~1", ">=1,<2"),
        ("1.2.*", "==1.2.*"),
        ("1.2", "==1.2"),
        (">=1,<3", ">=1,<3"),
        ("^1 || ^2", ">=2,<3"),
        ("*", ""),
    ],
)
def test_poetrys_constraints_are_said_in_pep_440(poetic: str, standard: str) -> None:
    assert pep440(poetic) == standard


NAMES = [
    "pyproject.toml", "Pipfile", "setup.cfg", "requirements.txt", "uv.lock", "poetry.lock",
    "pylock.toml",
]  # fmt: skip

# Bytes, and what comes closer to the formats than bytes do.
SCALARS = st.one_of(
    st.integers(), st.booleans(), st.text(max_size=8), st.sampled_from(["a>=1", "^1", "-r x"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["name", "a", "version", "file", "extras"]), inner),
    ),
    max_leaves=6,
)
TABLES = st.sampled_from(
    [
        "project", "project.optional-dependencies", "dependency-groups", "tool.poetry",
        "tool.poetry.dependencies", "tool.poetry.group.dev.dependencies", "tool.flit.metadata",
        "tool.setuptools.dynamic", "tool.pdm.dev-dependencies", "tool.uv", "packages", "options",
    ]
)  # fmt: skip
KEYS = st.sampled_from(
    ["dependencies", "dev", "requires", "install_requires", "dev-dependencies", "a", "package"]
)


def toml(value: object) -> str:
    """A value as TOML; strings as JSON, whose escapes TOML has."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


DOCUMENTS = st.builds(
    lambda table, key, value: f"[{table}]\n{key} = {toml(value)}\n".encode(errors="replace"),
    TABLES,
    KEYS,
    VALUES,
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.mark.parametrize("name", NAMES)
@given(content=st.one_of(st.binary(max_size=200), DOCUMENTS, st.text(max_size=80).map(str.encode)))
def test_any_bytes_are_dependencies_or_a_clear_error(
    scratch: Path, name: str, content: bytes
) -> None:
    file = scratch / name
    file.write_bytes(content)
    told = ""
    dependencies: tuple[Dependency, ...] = ()
    try:
        dependencies = read(file, frozenset({"all"}), frozenset({"all"})).dependencies
    except UserError as error:
        told = str(error)
    assert not told or name in told
    assert all(dependency.requirement for dependency in dependencies)


@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=80).map(str.encode)))
def test_any_bytes_are_python_or_listed_as_unread(scratch: Path, content: bytes) -> None:
    folder = scratch / "sources"
    folder.mkdir(exist_ok=True)
    (folder / "x.py").write_bytes(content)
    sources = imports.scan(folder)
    assert sources.files + len(sources.unread) == 1


def test_imports_are_found_wherever_they_stand_and_nothing_is_run(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "a.py": "raise SystemExit\nimport yaml.nodes, json\n",
            "b/c.py": "def f():\n    from google.cloud import storage\n    from . import yaml\n",
            ".venv/x.py": "import yaml\n",
            "env/pyvenv.cfg": "",
            "env/lib/x.py": "import yaml\n",
            "node_modules/x.py": "import yaml\n",
        },
    )
    sources = imports.scan(tmp_path)
    assert list(map(str, sources.of(["yaml"]))) == ["a.py:2"]
    assert list(map(str, sources.of(["google.cloud.storage"]))) == ["b/c.py:2"]
    assert sources.of(["google.cloud.bigquery"]) == []


SETUP = """
from setuptools import find_packages, setup

raise SystemExit("it was run")
NEEDS = ["a>=1", "b"]
setup(name="x", install_requires=NEEDS, extras_require={"dev": ["c"], "more": "d\\ne"})
"""


def test_a_setup_py_is_read_and_not_run(tmp_path: Path) -> None:
    inputs = found(tmp_path, {"setup.py": SETUP}, extras="all")
    assert requirements(inputs) == ["a>=1", "b", "c", "d", "e"]


def test_what_a_setup_py_computes_is_noted(tmp_path: Path) -> None:
    computed = "from setuptools import setup\nsetup(install_requires=open('x').readlines())\n"
    write(tmp_path, {"setup.py": computed})
    inputs = read(tmp_path / "setup.py", NOTHING, NOTHING)
    assert requirements(inputs) == []
    assert inputs.notes == ("setup.py:2: install_requires is computed, and a setup.py is not run",)


ENVIRONMENT_YML = """
name: x
channels: [conda-forge]
dependencies:
  - python=3.12
  - pip
  - numpy=1.26
  - pandas==2.2.1
  - conda-forge::scikit-learn>=1.4,<2
  - scipy=1.13.0=py312h_0
  - requests
  - pip:
      - httpx[http2]>=0.27
      - pydantic==2.11.0
"""


def test_an_environment_of_condas_is_read(tmp_path: Path) -> None:
    inputs = found(tmp_path, {"environment.yml": ENVIRONMENT_YML})
    assert [dependency.declared for dependency in inputs.dependencies] == [
        "numpy==1.26.*", "pandas==2.2.1", "scikit-learn<2,>=1.4", "scipy==1.13.0", "requests",
        "httpx[http2]>=0.27", "pydantic==2.11.0",
    ]  # fmt: skip


@given(st.text())
def test_any_text_as_an_environment_or_a_setup_py_is_read_or_a_mistake(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("environment.yml", "setup.py"):
        (folder / name).write_text(text, encoding="utf-8", errors="replace")
        with suppress(UserError):
            read(folder / name, NOTHING, NOTHING)
