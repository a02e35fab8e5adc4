"""scripts/compact.py of the template: packages without what only people read."""

import ast
import importlib.util
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import REPOSITORY

SCRIPT = REPOSITORY / "template" / "scripts" / "compact.py"
LIBRARY = Path(ast.__file__).parent


@pytest.fixture(scope="module")
def compact() -> Callable[[str], str]:
    spec = importlib.util.spec_from_file_location("compact", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[str], str] = module.compact
    return function


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ""),
        ("# a\nx = 1  # b\n", "\nx = 1\n"),
        ('"""A module."""\nx = 1\n', '""\nx = 1\n'),
        ('def f():\n    """One\n    two."""\n    return 1\n', 'def f():\n    ""\n\n    return 1\n'),
        ('def f():\n    """Only this."""\n', 'def f():\n    ""\n'),
        ('class A:\n    x = 1\n    """Of x."""  # b\n', 'class A:\n    x = 1\n    ""\n'),
        ('x = """no\ndocstring"""\n', 'x = """no\ndocstring"""\n'),
        ('print("#"), "# text"\n', 'print("#"), "# text"\n'),
        ('f(\n    # a\n    "x",\n)\n', 'f(\n\n    "x",\n)\n'),
        ('"a" "b"\n', '"a" "b"\n'),
        ('"a".strip()\n', '"a".strip()\n'),
        ('"a"; x = 1\n', '"a"; x = 1\n'),
        ('"é" # ü\nx = "ß"\r\n', '""\nx = "ß"\r\n'),
        ('"""\r\nTwo.\r\n"""\r\nx = 1', '""\n\n\r\nx = 1'),
    ],
)
def test_only_what_people_read_goes(
    compact: Callable[[str], str], source: str, expected: str
) -> None:
    assert compact(source) == expected


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.py")), ids=lambda path: path.name)
def test_the_standard_library_stays_what_it_is(compact: Callable[[str], str], path: Path) -> None:
    source = path.read_text("utf-8")
    assert outline(compact(source)) == outline(source)


def outline(source: str) -> list[tuple[str, int]]:
    """Each node of a module with its line, and "" in place of statements that are strings."""
    with warnings.catch_warnings(action="ignore"):
        nodes = list(ast.walk(ast.parse(source)))
    for node in nodes:
        match node:
            case ast.Expr(value=ast.Constant(value=str()) as text):
                text.value, text.kind = "", None
    return [
        (
            f"{node.value!r}" if isinstance(node, ast.Constant) else type(node).__name__,
            getattr(node, "lineno", 0),
        )
        for node in nodes
    ]


def test_a_folder_of_packages(tmp_path: Path) -> None:
    package, metadata = tmp_path / "acme", tmp_path / "acme-1.dist-info"
    for folder in (package, metadata):
        folder.mkdir()
    (package / "__init__.py").write_text('"""Acme."""\n__version__ = "1"\n')
    unreadable = {"newer.py": b"# a\nx = = 1\n", "latin.py": b"# \xe4\n", "nul.py": b"# a\n\0"}
    for name, content in unreadable.items():
        (package / name).write_bytes(content)
    (metadata / "METADATA").write_text("Name: acme\nVersion: 1\n\n# Acme\n\nA description.\n")
    (metadata / "LICENSE").write_text("# To be kept\n")
    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True)
    assert (package / "__init__.py").read_text() == '""\n__version__ = "1"\n'
    assert {name: (package / name).read_bytes() for name in unreadable} == unreadable
    assert (metadata / "METADATA").read_text() == "Name: acme\nVersion: 1\n"
    assert (metadata / "LICENSE").read_text() == "# To be kept\n"
