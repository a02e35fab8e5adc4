"""Code that says it is not for a Worker, or that it has looked first, gets no findings."""

from pathlib import Path

import pytest

from forge_scaffold.checks.examples import files
from tests.checks.support import told

ELSEWHERE = [
    'if __name__ == "__main__":\n    {}',
    'if "__main__" == __name__:\n    {}',
    'if sys.platform != "emscripten":\n    {}',
    'if not sys.platform.startswith("emscripten"):\n    {}',
    'if sys.platform in ("linux", "darwin"):\n    {}',
    'if platform.system() != "Emscripten":\n    {}',
    'if "pyodide" not in sys.modules:\n    {}',
    'if importlib.util.find_spec("js") is None:\n    {}',
    "if sys.version_info < (3, 12):\n    {}",
    "if TYPE_CHECKING or not IN_WORKER:\n    {}",
    "if IN_WORKER:\n    pass\nelse:\n    {}",
    "if not in_worker():\n    {}",
    "if js is None:\n    {}",
    "if js:\n    pass\nelif True:\n    {}",
    "if not HAS_JS:\n    {}",
    "if False:\n    {}",
    "try:\n    import pyodide.ffi\nexcept ImportError:\n    {}",
]

BEFORE = """\
import importlib.util
import os
import platform
import sys
from typing import TYPE_CHECKING

import httpx

try:
    import js
    HAS_JS = True
except ImportError:
    js = None
    HAS_JS = False

IN_WORKER = sys.platform == "emscripten"


def in_worker():
    return "pyodide" in sys.modules


"""
AFTER = "\n\n\nasync def answer(env):\n    return httpx.__version__\n"
STARTS = "SEED = os.urandom(8)"


@pytest.mark.parametrize("guard", ELSEWHERE)
def test_what_is_for_elsewhere_is_silent(tmp_path: Path, guard: str) -> None:
    source = BEFORE + guard.format(STARTS) + AFTER
    assert told(tmp_path, files({"src/service.py": source}), "RUN") == []


@pytest.mark.parametrize("guard", ELSEWHERE)
def test_what_is_in_the_same_place_for_workers_is_not(tmp_path: Path, guard: str) -> None:
    source = BEFORE + guard.format("pass") + "\n" + STARTS + AFTER
    (found,) = told(tmp_path, files({"src/service.py": source}), "RUN")
    assert "RUN101 os.urandom() at import time" in found


def test_what_is_left_before_it_is_reached_is_silent(tmp_path: Path) -> None:
    source = BEFORE + (
        "import subprocess\n\n\nasync def answer(env):\n"
        '    if sys.platform == "emscripten":\n        return httpx.__version__\n'
        '    return subprocess.run(["uname"])\n'
    )
    assert told(tmp_path, files({"src/service.py": source}), "RUN") == []


@pytest.mark.parametrize(
    "body",
    [
        'if hasattr(env, "ASSETS"):\n        return await env.ASSETS.fetch("/")',
        'if not hasattr(env, "ASSETS"):\n        return 1\n    await env.ASSETS.fetch("/")',
        'if "ASSETS" in dir(env):\n        return await env.ASSETS.fetch("/")',
        'assets = getattr(env, "ASSETS", None)\n    await env.ASSETS.fetch("/")',
        'try:\n        await env.ASSETS.fetch("/")\n    except AttributeError:\n        pass',
    ],
)
def test_who_looks_first_needs_no_binding(tmp_path: Path, body: str) -> None:
    source = f"import httpx\n\n\nasync def answer(env):\n    {body}\n    return httpx.__version__\n"
    assert told(tmp_path, files({"src/service.py": source}), "WRA006") == []


def test_a_binding_in_a_variable_is_one(tmp_path: Path) -> None:
    source = (
        "import httpx\n\n\nasync def answer(env):\n    settings = env\n    cache = settings.CACHE\n"
        '    return await cache.get("x") or httpx.__version__\n'
    )
    (found,) = told(tmp_path, files({"src/service.py": source}), "WRA006")
    assert "CACHE: get is called on it" in found


@pytest.mark.parametrize(
    "source",
    [
        "from uuid import uuid4\n\nnew_id = uuid4\nID = new_id()\n",
        "import uuid\n\nmake = uuid.uuid4\nagain = make\nID = again()\n",
        "import functools\nimport os\n\nmake = functools.partial(os.urandom, 8)\nID = make()\n",
        "import os\n\nmake = lambda: os.urandom(8)\nID = make()\n",
        "from ids import new_id\n\nID = new_id()\n",
        "import ids\n\nID = ids.new_id()\n",
        "from ids import random_id\n\nID = random_id()\n",
        "import random\n\nrandom = random.random()\n",
        "import os\n\nclass P:\n    def make(self):\n        os.urandom(8)\n\np = P()\np.make()\n",
        "import uuid\n\nX = getattr(uuid, 'uuid4')()\n",
        "import os\nimport uuid\n\nmake, draw = uuid.uuid4, os.urandom\nX = make()\n",
        "from uuid import uuid4\n\nX = list(map(lambda _: uuid4(), range(3)))\n",
        "import os\n\nX = list(map(os.urandom, [8, 16]))\n",
    ],
)
def test_values_are_followed(tmp_path: Path, source: str) -> None:
    ids = "import secrets as s\nfrom uuid import uuid4 as new_id\n\nrandom_id = s.token_hex\n"
    changes = {"src/service.py": source + AFTER.replace("\n\n\n", "\nimport httpx\n\n\n", 1)}
    found = told(tmp_path, files({**changes, "src/ids.py": ids}), "RUN101")
    assert len(found) == 1, found


@pytest.mark.parametrize(
    "source",
    [
        "import random\n\n\ndef random():\n    return 4\n\n\nN = random()\n",
        "from uuid import uuid4\n\nuuid4 = lambda: 4\nID = uuid4()\n",
        "import time\n\n\nasync def wait(time):\n    time.sleep(1)\n",
        "import time\n\n\nasync def wait(env):\n    time = env.CLOCK\n    time.sleep(1)\n",
        "import time\n\n\nasync def f(clocks):\n    for time in clocks:\n        time.sleep(1)\n",
    ],
)
def test_names_are_what_they_were_given_last(tmp_path: Path, source: str) -> None:
    changes = {"src/service.py": source + AFTER.replace("\n\n\n", "\nimport httpx\n\n\n", 1)}
    assert told(tmp_path, files(changes), "RUN") == []


def test_the_sdks_handler_converts(tmp_path: Path) -> None:
    toml = files({})["wrangler.toml"].replace("2026-11-01", "2025-07-01")
    toml += '\n[[d1_databases]]\nbinding = "DB"\n'
    entry = (
        "import httpx\nfrom workers import Response, handler\n\n\n@handler\n"
        "async def on_fetch(request, env):\n"
        '    await env.DB.prepare("INSERT INTO notes VALUES (?)").bind(None).run()\n'
        "    return Response(httpx.__version__)\n"
    )
    changes = {"wrangler.toml": toml, "src/entry.py": entry, "src/service.py": ""}
    assert told(tmp_path, files(changes), "RUN") == []


def test_a_class_is_not_its_binding_in_another_case(tmp_path: Path) -> None:
    toml = files({})["wrangler.toml"] + (
        '\n[[durable_objects.bindings]]\nname = "ROOM"\nclass_name = "Room"\n'
        '\n[[migrations]]\ntag = "v1"\nnew_sqlite_classes = ["Room"]\n'
    )
    service = (
        "import httpx\n\n\nasync def answer(env):\n"
        '    room = env.ROOM.getByName("lobby")\n    return httpx.__version__ + str(room)\n'
    )
    (only,) = told(tmp_path, files({"wrangler.toml": toml, "src/service.py": service}))
    assert "WRA015 Room: there is no such class" in only


def test_a_dict_that_makes_locks_shares_them(tmp_path: Path) -> None:
    source = (
        "import asyncio\nfrom collections import defaultdict\n\nimport httpx\n\n"
        "LOCKS = defaultdict(asyncio.Lock)\nLISTS = defaultdict(list)\n"
    )
    (only,) = told(tmp_path, files({"src/service.py": source + AFTER}), "RUN601")
    assert "RUN601 asyncio.Lock() at import time is shared" in only
