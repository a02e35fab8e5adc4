"""What runs while a Worker's modules are imported, in functions that are called then, too."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from forge_scaffold.checks.examples import files
from tests.checks.support import checked, told

USED = "\n\nasync def answer(env):\n    return httpx.__version__\n"


def found(folder: Path, source: str, more: Mapping[str, str] | None = None) -> list[str]:
    """What RUN has to say about a service, and other modules."""
    service = {"src/service.py": f"import httpx\n{source}{USED}"}
    return [
        line.partition(": a Worker has no randomness")[0]
        for line in told(folder, files({**service, **(more or {})}), "RUN")
    ]


@pytest.mark.parametrize(
    "call",
    [
        "ID = make()",
        "ID = [make() for _ in range(2)]",
        "ID = (lambda: 1, make())",
        "class Settings:\n    id = make()",
        "def settings(id=make()):\n    return id",
        "async def settings(*, id=make()):\n    return id",
        "if (ID := make()):\n    pass",
        "with make() as ID:\n    pass",
        "try:\n    ID = make()\nexcept ValueError:\n    ID = None",
        'match make():\n    case "1":\n        pass',
        "@make\ndef settings():\n    pass",
        "@make\nclass Settings:\n    pass",
        "class Settings:\n    @make\n    def read(self):\n        pass",
        'ID = f"{make()}"',
    ],
)
def test_a_function_that_is_called_at_import_time(tmp_path: Path, call: str) -> None:
    source = f"from uuid import uuid4\n\n\ndef make(_=None):\n    return uuid4()\n\n\n{call}\n"
    line = 9 + next(n for n, text in enumerate(call.split("\n")) if "make" in text)
    assert found(tmp_path, source) == [
        f"src/service.py:6: RUN101 uuid.uuid4() at import time (line {line} calls make())"
    ]


@pytest.mark.parametrize(
    "call",
    [
        "def later():\n    return make()",
        "async def later():\n    return make()",
        "LATER = lambda: make()",
        "LATER = make",
        "LATER = dict(default_factory=make)",
        "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    ID = make()",
        'if __name__ == "__main__":\n    ID = make()',
        "def later(make):\n    return make()\n\n\nID = later(str)",
        "other = object()\nID = other.make()",
        "async def later():\n    return make()\n\n\nID = later()",
        "def later():\n    def inner():\n        return make()\n    return inner\n\n\nID = later()",
    ],
)
def test_a_function_that_is_called_later_or_never(tmp_path: Path, call: str) -> None:
    source = f"from uuid import uuid4\n\n\ndef make(_=None):\n    return uuid4()\n\n\n{call}\n"
    assert found(tmp_path, source) == []


def test_calls_are_followed_through_functions_inside_functions(tmp_path: Path) -> None:
    source = (
        "import secrets\n\n\ndef outer():\n    def inner():\n        return deepest()\n"
        "    return inner()\n\n\ndef deepest():\n    return secrets.token_hex()\n\n\n"
        "KEY = outer()\n"
    )
    assert found(tmp_path, source) == [
        "src/service.py:12: RUN101 secrets.token_hex() at import time (line 15 calls outer())"
    ]


def test_what_a_decorator_factory_returns_runs_too(tmp_path: Path) -> None:
    source = (
        "import random\n\n\ndef named(name):\n    def decorate(function):\n"
        "        function.name = name or random.random()\n        return function\n\n"
        "    def other():\n        return random.random()\n\n    return decorate\n\n\n"
        '@named("")\ndef settings():\n    pass\n'
    )
    assert found(tmp_path, source) == [
        "src/service.py:7: RUN101 random.random() at import time (line 16 calls named())"
    ]


@pytest.mark.parametrize("method", ["__init__", "__post_init__"])
def test_what_makes_an_instance_at_import_time(tmp_path: Path, method: str) -> None:
    source = (
        "import asyncio\n\n\nclass Base:\n"
        f"    def {method}(self):\n        self.lock = asyncio.Lock()\n\n"
        "    def later(self):\n        return asyncio.Lock()\n\n\n"
        "class Client(Base):\n    pass\n\n\nCLIENT = Client()\n"
    )
    (line,) = found(tmp_path, source)
    assert line.startswith(
        "src/service.py:7: RUN601 asyncio.Lock() at import time (line 17 calls Client()) is shared"
    )


@pytest.mark.parametrize(
    "call",
    [
        "from ids import make\n\nID = make()",
        "from ids import make as new\n\nID = new()",
        "import ids\n\nID = ids.make()",
        "import ids as names\n\nID = names.make()",
        "from .ids import make\n\nID = make()",
        "from . import ids\n\nID = ids.make()",
        "from package import make\n\nID = make()",
        "import package.inner\n\nID = package.inner.make()",
        "from package.inner import Maker\n\nID = Maker.make()",
        "import package\n\nID = package.inner.Maker().id",
    ],
)
def test_calls_are_followed_into_other_modules(tmp_path: Path, call: str) -> None:
    modules = {
        "src/ids.py": "import uuid\n\n\ndef make():\n    return uuid.uuid4()\n",
        "src/package/__init__.py": "from . import inner\nfrom .inner import make\n",
        "src/package/inner.py": "from ..ids import make\n\n\nclass Maker:\n"
        "    def __init__(self):\n        self.id = make()\n\n"
        "    @staticmethod\n    def make():\n        return make()\n",
    }
    (line,) = found(tmp_path, call, modules)
    assert line.startswith("src/ids.py:5: RUN101 uuid.uuid4() at import time (src/service.py:")


def test_names_that_only_look_like_the_standard_librarys_are_not_taken_for_it(
    tmp_path: Path,
) -> None:
    modules = {"src/secrets.py": "def token():\n    return 1\n"}
    assert found(tmp_path, "from .secrets import token\n\nTOKEN = token()\n", modules) == []


def test_every_rule_about_import_time_follows_calls(tmp_path: Path) -> None:
    source = (
        "import asyncio\nimport time\n\nfrom js import Headers\nfrom pydantic_settings import "
        "BaseSettings\nfrom workers import env\n\n\nclass Settings(BaseSettings):\n    pass\n\n\n"
        "def load():\n    time.time()\n    httpx.get('https://example.org')\n    Headers.new()\n"
        "    asyncio.gather()\n    env.NAME\n    Settings()\n    asyncio.Queue()\n"
        "    httpx.AsyncClient()\n\n\nload()\n"
    )
    rules = {
        line.split()[1] for line in found(tmp_path, source) if "(line 25 calls load())" in line
    }
    assert rules == {
        "RUN102", "RUN103", "RUN104", "RUN105", "RUN202", "RUN601", "RUN602",
    }  # fmt: skip


def test_a_function_that_is_called_in_requests_too_gets_no_other_finding(tmp_path: Path) -> None:
    source = (
        "import os\n\nfrom uuid import uuid4\n\n\ndef make():\n"
        "    return os.environ['X'], uuid4()\n\n\nA = make()\nB = make()\n"
        "\n\nasync def more(env):\n    return make()\n"
    )
    assert [line.split()[1] for line in found(tmp_path, source)] == ["RUN201", "RUN101"]


@pytest.mark.parametrize(
    "source",
    [
        "def a():\n    return b()\n\n\ndef b():\n    return a()\n\n\na()\n",
        "def a():\n    return a()\n\n\na()\n",
        "class A(A):\n    pass\n\n\nA()\n",
        "class A(B):\n    pass\n\n\nclass B(A):\n    pass\n\n\nA()\n",
        "from service import a\n\na()\n",
        "from other import a\n\na()\n",
        "from . import service\n\nservice.service.service()\n",
        "from ......... import a\n\na()\n",
        "import a\n\na" + ".a" * 20_000 + "()\n",
    ],
    ids=range(9),
)
def test_circles_end(tmp_path: Path, source: str) -> None:
    assert found(tmp_path, source, {"src/other.py": "from service import a\n"}) == []


def test_a_long_way_down_is_followed_to_its_end(tmp_path: Path) -> None:
    length = 8000
    links = "".join(
        f"def f{number}():\n    f{number + 1}()\n    f{number // 2}()\n\n\n"
        for number in range(length)
    )
    source = f"import uuid\n\n\n{links}def f{length}():\n    uuid.uuid4()\n\n\nf0()\n"
    assert len(checked(tmp_path, files({"src/service.py": source}), "RUN")) == 1


def test_functions_in_functions_without_end_are_each_looked_at_once(tmp_path: Path) -> None:
    depth = 95
    opened = "".join(f"{' ' * level}def f():\n" for level in range(depth))
    body = f"{' ' * depth}x = y()\n" * 2000
    closed = "".join(f"{' ' * level}f()\n" for level in reversed(range(depth)))
    assert found(tmp_path, opened + body + closed) == []


def test_coroutines_that_run_at_import_time_are_followed(tmp_path: Path) -> None:
    source = (
        "import asyncio\nfrom uuid import uuid4\n\n\nasync def load():\n    return await deeper()\n"
        "\n\nasync def deeper():\n    later()\n    return uuid4()\n\n\nasync def later():\n"
        "    return uuid4()\n\n\nID = asyncio.run(load())\n"
    )
    assert [line.split(" at import time")[0] for line in found(tmp_path, source)] == [
        "src/service.py:12: RUN101 uuid.uuid4()",
        "src/service.py:19: RUN105 asyncio.run()",
    ]


def test_what_waits_at_import_time_is_an_error_and_what_runs_through_a_warning(
    tmp_path: Path,
) -> None:
    source = (
        "import asyncio\n\n\nasync def load(seconds):\n    await asyncio.sleep({})\n\n\n"
        "asyncio.run(load(1))\n"
    )
    for seconds, severities in ((0, ["warning"]), (1, ["error", "warning"])):
        service = f"import httpx\n{source.format(seconds)}{USED}"
        findings = checked(tmp_path, files({"src/service.py": service}), "RUN")
        assert [finding.severity for finding in findings] == severities


@pytest.mark.parametrize(
    ("date", "rules"), [("2026-11-01", ["RUN307"]), ("2026-01-01", ["RUN101"])]
)
def test_only_older_pythons_have_openssl(tmp_path: Path, date: str, rules: list[str]) -> None:
    source = (
        "import hashlib\nimport ssl\n\nTLS = ssl.create_default_context()\n"
        'KEY = hashlib.pbkdf2_hmac("sha256", b"", b"", 1)\n'
    )
    changes = {
        "src/service.py": f"import httpx\n{source}{USED}",
        "wrangler.toml": files({})["wrangler.toml"].replace("2026-11-01", date),
    }
    assert [each.rule for each in checked(tmp_path, files(changes), "RUN")] == rules
