"""Imports of the project's own modules lead to what is uploaded, or are found."""

from pathlib import Path

import pytest

from forge_scaffold.checks.examples import files
from tests.checks.support import checked, told

SHOP = {
    "src/shop/__init__.py": "from shop.prices import PRICES as prices\n",
    "src/shop/prices.py": "import sys\n\nPRICES, *REST = {}, 1\n\n\nclass Price:\n    pass\n",
    "src/shop/lazy.py": "def __getattr__(name):\n    return name\n",
    "src/shop/open.py": "from json import *\n",
    "src/shop/deep/one.py": "ONE = 1\n",
    "src/shop/stock.so": "",
    "src/flat.py": "if True:\n    NAME = 1\nelse:\n    OTHER = 2\n",
}
SERVICE = "{}\nimport httpx\n\n\nasync def answer(env):\n    return httpx.__version__\n"


def found(folder: Path, line: str, **more: str) -> list[str]:
    service = SERVICE.format(line)
    return told(folder, files({**SHOP, "src/service.py": service, **more}), "IMP001,IMP007,IMP008")


@pytest.mark.parametrize(
    "line",
    [
        "import shop, shop.prices, shop.deep.one, shop.stock",
        "from shop import prices, lazy, deep, stock",
        "from shop.prices import PRICES, REST, Price, sys, __name__ as name",
        "from shop.lazy import anything",
        "from shop.open import loads",
        "from flat import NAME, OTHER",
        "from shop.deep import one",
        "from shop.prices import *",
        "try:\n    from shop import missing\nexcept ImportError:\n    missing = None",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from shop import missing",
        "import sys\nsys.path.append('elsewhere')\nimport shop.missing",
    ],
)
def test_what_is_there_is_silent(tmp_path: Path, line: str) -> None:
    assert found(tmp_path, line) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("import shop.orders", "IMP008 shop.orders: there is no such module below src/"),
        ("from shop.orders import total", "IMP008 shop.orders: there is no such module"),
        ("from shop import taxes", "IMP008 taxes: neither a module of src/shop nor a name in"),
        ("from shop.prices import Cost", "IMP008 Cost: src/shop/prices.py has no such name"),
        ("from shop.deep import two", "IMP008 two: there is no such module in src/shop/deep/"),
        ("from flat import inner", "IMP008 inner: src/flat.py has no such name"),
        ("import flat.inner", "IMP008 flat.inner: there is no such module"),
        ("from src.shop import prices", "IMP007 src: src/ is what is uploaded, and modules are"),
    ],
)
def test_what_is_not_there_is_found(tmp_path: Path, line: str, problem: str) -> None:
    (only,) = found(tmp_path, line)
    assert problem in only


def test_what_a_build_makes_is_not_missed(tmp_path: Path) -> None:
    more = {".gitignore": ".dev.vars\n.env\n_version.py\n"}
    assert found(tmp_path, "from shop._version import V\nimport shop.api_pb2", **more) == []


def test_relative_imports_are_resolved(tmp_path: Path) -> None:
    module = "from . import prices\nfrom .prices import PRICES\nfrom ..flat import NAME\n"
    more = {"src/shop/deep/two.py": "from ..prices import Cost\nfrom .one import ONE\n"}
    lines = found(tmp_path, "import shop.more", **{"src/shop/more.py": module, **more})
    name, out = lines
    assert "two.py:1: IMP008 Cost: src/shop/prices.py has no such name" in name
    assert "more.py:3: IMP008 the import leads out of src/" in out


def test_a_name_that_is_deleted_is_gone(tmp_path: Path) -> None:
    more = {"src/words.py": "one = two = three = 1\ndel one, two\ntwo = 2\n"}
    (only,) = found(tmp_path, "from words import one, two, three", **more)
    assert "one: src/words.py has no such name" in only


def test_a_dependency_is_no_folder_of_the_same_name(tmp_path: Path) -> None:
    assert found(tmp_path, "import httpx.missing", **{"httpx/notes.py": ""}) == []


def test_the_standard_library_is_the_workers(tmp_path: Path) -> None:
    assert found(tmp_path, "from compression import zstd") == []
    older = {"wrangler.toml": files({})["wrangler.toml"].replace("2026-11-01", "2025-10-01")}
    service = SERVICE.format("from compression import zstd")
    (only,) = told(tmp_path, files({"src/service.py": service, **older}), "IMP")
    assert "compression: this module is new in Python 3.14, and this Worker's is 3.13" in only


MISSING = "from shop import missing\n"
UNUSED = {"src/old.py": MISSING}


@pytest.mark.parametrize(
    ("line", "more", "severity"),
    [
        ("import old", {}, "error"),
        ("import middle", {"src/middle.py": "import old\n"}, "error"),
        ("import pack.old", {"src/pack/__init__.py": MISSING, "src/pack/old.py": ""}, "error"),
        ("from pack import new", {"src/pack/new.py": "from . import old\n"}, "error"),
        ("import middle", {"src/middle.py": "def go():\n    import old\n"}, "warning"),
        ("try:\n    import old\nexcept ImportError:\n    old = None", {}, "warning"),
        ("import importlib\nimportlib.import_module('old')", {}, "warning"),
        ("import importlib\nimportlib.import_module('o' + 'ld')", {}, "warning"),
        ("APPS = ['pack.old.Config']", {"src/pack/new.py": ""}, "warning"),
        ("import shop", {}, "note"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import old", {}, "note"),
        ("NAME = 'old'", {"src/middle.py": "import old\n"}, "note"),
    ],
)
def test_it_is_an_error_only_where_the_worker_imports_it(
    tmp_path: Path, line: str, more: dict[str, str], severity: str
) -> None:
    old = {"src/pack/old.py": MISSING} if "pack" in line else UNUSED
    project = {**SHOP, **old, "src/service.py": SERVICE.format(line), **more}
    (only,) = checked(tmp_path, files(project), "IMP008")
    assert only.severity == severity


def test_without_a_main_module_every_module_counts(tmp_path: Path) -> None:
    project = files({**SHOP, **UNUSED})
    del project["wrangler.toml"]
    (only,) = checked(tmp_path, project, "IMP008")
    assert only.severity == "error"
