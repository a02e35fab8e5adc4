"""IMP005: modules that a Worker's Python does not have."""

from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE, files
from tests.checks.support import checked


def found(folder: Path, source: str, date: str = "2026-11-01", more: str = "") -> list[str]:
    changes = {
        "src/service.py": f"import httpx\n{source}\n\n\nasync def answer(env):\n"
        "    return httpx.__version__\n",
        "wrangler.toml": BASE["wrangler.toml"].replace("2026-11-01", date),
        "pyproject.toml": BASE["pyproject.toml"].replace(
            '"httpx>=0.28,<1"', f'"httpx>=0.28,<1"{more}'
        ),
    }
    return [each.message.partition(":")[0] for each in checked(folder, files(changes), "IMP005")]


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("import curses as c", ["curses"]),
        ("from tkinter import Tk", ["tkinter"]),
        ("import pwd, grp", ["pwd", "grp"]),
        ("import cgi", ["cgi"]),
        ("from distutils.version import LooseVersion", ["distutils"]),
        ("def later():\n    import telnetlib", ["telnetlib"]),
        ("match 1:\n    case 1:\n        import imp", ["imp"]),
        ("import fcntl, termios, pty, multiprocessing", []),
        ("try:\n    import pwd\nexcept ImportError:\n    pwd = None", []),
        ("try:\n    import pwd\nexcept* ImportError:\n    pwd = None", []),
        ("from contextlib import suppress\nwith suppress(ImportError):\n    import pwd", []),
        ("from contextlib import suppress\nwith suppress(KeyError):\n    import pwd", ["pwd"]),
        ("from contextlib import suppress\nwith suppress(ImportError):\n    x = 1\nimport pwd",
         ["pwd"]),
        ("if __name__ == '__main__':\n    import readline", []),
    ],
)  # fmt: skip
def test_what_is_missing(tmp_path: Path, source: str, modules: list[str]) -> None:
    assert sorted(found(tmp_path, source)) == sorted(modules)


def test_what_the_workers_own_python_still_has(tmp_path: Path) -> None:
    assert found(tmp_path, "import cgi", "2025-09-01") == []
    assert found(tmp_path, "import imp", "2025-09-01") == ["imp"]


def test_what_a_package_may_bring_back(tmp_path: Path) -> None:
    assert found(tmp_path, "import cgi", more=', "legacy-cgi"') == []
