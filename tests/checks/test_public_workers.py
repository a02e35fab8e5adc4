"""What public Workers do and is right, and what they do and was missed: found by reading them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE, files
from tests.checks.support import checked, told

LEGACY = BASE["wrangler.toml"].replace("2026-11-01", "2025-07-01")  # Python 3.12
IN_CLASS = BASE["src/entry.py"].replace("def fetch", "def on_fetch")
CLOCK = (
    "from workers import DurableObject\n\n\nclass Clock(DurableObject):\n"
    "    async def alarm(self):\n        print(self.env)\n"
)
NO_MAIN = BASE["wrangler.toml"].replace('main = "src/entry.py"\n', "")
FOREIGN = '[project]\nname = "x"\nversion = "1"\ndependencies = [{}]\n'


def service(source: str) -> Mapping[str, str]:
    return {
        "src/service.py": f"import httpx\n{source}\n\nasync def answer(env):\n    return httpx\n"
    }


def legacy(source: str) -> Mapping[str, str]:
    head = (
        "from js import Headers, Object, Request, Response, fetch\nfrom pyodide.ffi import to_js\n"
    )
    return {"wrangler.toml": LEGACY, **service(head + source)}


def declared(*requirements: str, more: str = "") -> Mapping[str, str]:
    return {"pyproject.toml": FOREIGN.format(", ".join(map(repr, requirements))) + more}


def uv_lock(*packages: str, needs: str) -> Mapping[str, str]:
    """A lock of a project that needs some packages, each of them with a wheel for Linux only."""
    entries = [f'name = "x"\nsource = {{ virtual = "." }}\ndependencies = [{needs}]']
    entries += packages
    return {"uv.lock": "version = 1\n" + "".join(f"\n[[package]]\n{each}\n" for each in entries)}


LINUX = (
    'version = "1"\nwheels = [{ url = "https://e.org/c-1-cp313-cp313-manylinux_2_17_x86_64.whl" }]'
)
PURE = 'version = "1"\nwheels = [{ url = "https://e.org/p-1-py3-none-any.whl" }]'
SOURCE = 'version = "1"\nsdist = { url = "https://e.org/s-1.tar.gz" }'


@pytest.mark.parametrize(
    ("rules", "changes"),
    [
        # pywrangler reads `dependencies` only.
        (
            "DEP",
            declared(
                "httpx>=0.28,<1", more='[project.optional-dependencies]\nserver = ["uvicorn"]\n'
            ),
        ),
        # The SDK's own tests: configurations without a main module are for pywrangler sync.
        (
            "DEP007 WRA012",
            {
                **declared("pytest"),
                "wrangler.toml": NO_MAIN.replace("\n[observability]\nenabled = true\n", ""),
                "worker.py": "import pytest\n",
                "src/entry.py": "",
                "src/service.py": "",
            },
        ),
        ("DEP007", {**declared("pytest"), **service("import pytest\n")}),
        # What a marker keeps for other systems, and what is built because somebody said so.
        (
            "DEP006",
            uv_lock(
                f'name = "c"\n{LINUX}',
                needs="{ name = 'c', marker = \"sys_platform == 'win32'\" }",
            ),
        ),
        (
            "DEP006",
            {
                **declared("s", more="[tool.pywrangler]\nallow-build = true\n"),
                **uv_lock(f'name = "s"\n{SOURCE}', needs="{ name = 's' }"),
            },
        ),
        # Packages that others look for.
        ("IMP002", {**declared("httpx", "h2"), **service("")}),
        ("IMP002", {**declared("httpx", "pymysql", "cryptography"), **service("import pymysql\n")}),
        # JSON's null is no object of JavaScript's.
        ("RUN104", service('import js\n\nNULL = js.JSON.parse("null")\n')),
        # The runtime says so itself: only the methods ask for entropy.
        ("RUN101", service("import random\n\nRANDOM = random.SystemRandom()\n")),
        (
            "RUN101",
            service(
                "import random\n\n\nclass Keys:\n    def __init__(self, keys, shuffled=False):\n"
                "        if shuffled:\n            random.shuffle(keys)\n\n\nKEYS = Keys([1, 2])\n"
            ),
        ),
        (
            "RUN101",
            service(
                "import random\nfrom urllib.parse import urlsplit\n\n\ndef options(url):\n"
                "    scheme = urlsplit(url).scheme\n    if scheme == 'https':\n"
                "        return random.random()\n"
                "    return random.random() if scheme else None\n\n\nOPTIONS = options('')\n"
            ),
        ),
        # Pyodide's loop calls the function where it is.
        (
            "RUN304",
            service(
                "import asyncio\nfrom concurrent.futures import ThreadPoolExecutor\n\n"
                "POOL = ThreadPoolExecutor(3)\n\n\nasync def load(read):\n"
                "    return await asyncio.get_running_loop().run_in_executor(POOL, read)\n"
            ),
        ),
        # A Map has entries; headers may be one; and options are in it as properties from 3.13 on.
        ("RUN401", legacy('def made():\n    return Object.fromEntries(to_js({"status": 405}))\n')),
        (
            "RUN401",
            legacy(
                "def made():\n"
                '    return Object.fromEntries(to_js({"method": "POST", "headers": {"a": "b"}}))\n'
            ),
        ),
        ("RUN401", legacy('def made():\n    headers = to_js({"a": "b"})\n    return headers\n')),
        ("RUN401", legacy('def made():\n    return Response.new("", headers=to_js({"a": "b"}))\n')),
        ("RUN401", legacy('def made():\n    return Headers.new(to_js({"a": "b"}))\n')),
        ("RUN401", legacy('def made():\n    return Response.new("", status=404)\n')),
        (
            "RUN401",
            {
                **legacy('def f():\n    return to_js({"a": 1})\n'),
                "wrangler.toml": BASE["wrangler.toml"],
            },
        ),
        # Whatever may be an entry, or bring one.
        ("RUN502", {"src/entry.py": "from service import *\n"}),
        (
            "RUN502",
            {
                "src/entry.py": "from workers import DurableObject\n\n\n"
                "class A(DurableObject):\n    pass\n"
            },
        ),
        # Workers do not fill os.environ.
        (
            "RUN106",
            service(
                "import logging\nimport os\n\nos.environ['TZ'] = 'UTC'\n"
                "FOLDER = os.getenv('LOGS', None)\nif FOLDER:\n"
                "    logging.FileHandler(f'{FOLDER}/log')\n"
            ),
        ),
        (
            "RUN201",
            service(
                "import os\n\nif __name__ == '__main__' and os.environ.get('LOCAL'):\n"
                "    print(answer)\n"
            ),
        ),
        # What others wrote has a way for programs and one for coroutines.
        (
            "RUN303",
            {
                "src/vendor/page.py": "import asyncio\n\n\ndef render(page):\n"
                "    return asyncio.run(page)\n",
                **service("from vendor import page\n\nRENDER = page.render\n"),
            },
        ),
        # A name for a package that another module gives before.
        (
            "IMP007",
            {
                **service("from src.texts import TEXT\n"),
                "src/texts.py": "TEXT = 1\n",
                "src/entry.py": "import sys\n\nsys.modules['src'] = sys\n" + BASE["src/entry.py"],
            },
        ),
        # A build copies it here, and git leaves it out.
        (
            "IMP001",
            {
                **declared("httpx"),
                **service("import shared\n"),
                ".gitignore": f"{BASE['.gitignore']}src/shared/\n",
            },
        ),
        # Pyodide has versions of it that this range has, too.
        ("DEP012", declared("httpx", "pydantic")),
        ("DEP012", declared("httpx", "pydantic<3")),
        # A second Worker of the same code.
        (
            "WRA006",
            {
                "src/service.py": "async def answer(env):\n    return await env.SOURCE.head('a')\n",
                "wrangler.admin.toml": '[[r2_buckets]]\nbinding = "SOURCE"\n',
            },
        ),
        # Slack's own example of an address, and a key that says that it is public.
        (
            "SEC",
            {
                "seed.sql": "https://hooks.slack.com/" + "services/T11111111/B11111111/"
                "YYYYYYYYYYYY",
            },
        ),
        (
            "SEC",
            service('PUBLIC_SHOP_API_KEY = "f5537412b459790f9fa1cc47b862b9c70164719571"\n'),
        ),
        # What detect-secrets writes down of what it was told of.
        (
            "SEC",
            {
                ".secrets.baseline": '{"hashed_secret": '
                '"d474eabca08eac2ef6c1b0a092ffb449102bb22c"}\n'
            },
        ),
        # Where functions are called, on_fetch of a class is, too; what has both is for both.
        ("WRA017 RUN50", {"wrangler.toml": LEGACY, "src/entry.py": IN_CLASS}),
        (
            "RUN503",
            {
                "wrangler.toml": LEGACY,
                "src/entry.py": BASE["src/entry.py"] + "\n    on_fetch = fetch\n",
            },
        ),
        (
            "RUN503",
            {"wrangler.toml": LEGACY.replace('s"]', 's", "python_no_global_handlers"]')},
        ),
        # What another rule says of the same line.
        (
            "SEC003",
            {
                "wrangler.toml": BASE["wrangler.toml"]
                + '\n[vars]\nTOKEN = "6hrxk3Fn1Uie1UaLrzHFuF"\n'
            },
        ),
        # A workflow has to be bound to be there, and starts from a command or a schedule.
        (
            "WRA007",
            {
                "wrangler.toml": BASE["wrangler.toml"]
                + '\n[[workflows]]\nname = "d"\nbinding = "DRILL"\nclass_name = "Drill"\n'
            },
        ),
        # What the code can do without is not required.
        ("WRA010", service("\n\ndef key(env):\n    return getattr(env, 'MAIL_API_KEY', None)\n")),
        # What create-cloudflare fills in.
        (
            "WRA011",
            {"wrangler.toml": BASE["wrangler.toml"].replace('"example"', '"<WORKER_NAME>"')},
        ),
    ],
)
def test_what_is_right_is_left_alone(
    tmp_path: Path, rules: str, changes: Mapping[str, str]
) -> None:
    assert told(tmp_path, files(changes), *rules.split()) == []


@pytest.mark.parametrize(
    ("rule", "changes", "message"),
    [
        (
            "DEP014",
            declared(more='[dependency-groups]\ndev = ["pywrangler"]\n'),
            "declare  workers-py",
        ),
        ("DEP014", declared("PyWrangler"), "declare  workers-py"),
        (
            "DEP006",
            uv_lock(f'name = "c"\n{LINUX}', needs='{ name = "c" }'),
            "upgrade or replace it",
        ),
        (
            "DEP006",
            uv_lock(
                f'name = "p"\n{PURE}\n[package.optional-dependencies]\nfast = [{{ name = "c" }}]',
                f'name = "c"\n{LINUX}',
                needs='{ name = "p", extra = ["fast"] }',
            ),
            "upgrade or replace p, which brings it",
        ),
        (
            "DEP006",
            uv_lock(
                f'name = "c"\n{LINUX}',
                needs="{ name = 'c', marker = \"sys_platform != 'win32'\" }",
            ),
            "upgrade or replace it",
        ),
        ("DEP006", uv_lock(f'name = "c"\n{LINUX}', needs='{ name = "c", marker = "?" }'), "c 1: "),
        (
            "RUN304",
            service(
                "from concurrent.futures import ThreadPoolExecutor as P\n\nPOOL = P(3)\n\n\n"
                "def go(f):\n    POOL.submit(f)\n"
            ),
            "cannot start threads",
        ),
        (
            "RUN401",
            legacy('def made():\n    return Response.new("", {"status": 404})\n'),
            "finds nothing in a dict",
        ),
        (
            "RUN401",
            legacy('def made():\n    return fetch("https://e.org", {"method": "PUT"})\n'),
            "finds nothing in a dict",
        ),
        (
            "RUN401",
            legacy('def f():\n    return Object.fromEntries(to_js({"cf": {"a": 1}}))\n'),
            "makes a Map",
        ),
        (
            "RUN502",
            {"src/entry.py": "from fastapi import FastAPI\n\napp = FastAPI()\n"},
            "no class Default",
        ),
        ("RUN502", {"src/entry.py": "# Default to what on_fetch did\n"}, "no class Default"),
        (
            "RUN502",
            {"src/entry.py": "async def fetch(request, env, ctx):\n    pass\n"},
            "no class Default",
        ),
        (
            "IMP001",
            {**declared("httpx"), **service("import google.generativeai\n")},
            "add google-generativeai to the dependencies",
        ),
        (
            "RUN305",
            {
                "src/convert.py": "import subprocess\n\nsubprocess.run(['make'])\n",
                "src/plugins.py": "PLUGINS = ['convert']\n",
            },
            "cannot start other programs",
        ),
        (
            "RUN106",
            service(
                "import logging\nimport os\n\nos.environ.setdefault('LOGS', '/tmp')\n"
                "FOLDER = os.getenv('LOGS')\nif FOLDER:\n    logging.FileHandler(FOLDER)\n"
            ),
            "no file survives",
        ),
        ("DEP012", declared("httpx", "pydantic<2.10"), "admits versions before 2"),
        (
            "RUN503",
            {"wrangler.toml": LEGACY},
            "the runtime calls on_fetch; move the compatibility date to 2025-08-14",
        ),
        (
            "RUN503",
            {
                "wrangler.toml": BASE["wrangler.toml"].replace(
                    's"]', 's", "disable_python_no_global_handlers"]'
                ),
                "src/entry.py": CLOCK,
            },
            "alarm: the runtime calls on_alarm; take the flag",
        ),
        (
            "WRA011",
            {"wrangler.toml": BASE["wrangler.toml"].replace('"example"', '"Example"')},
            "lower-case",
        ),
    ],
)
def test_what_was_missed_is_found(
    tmp_path: Path, rule: str, changes: Mapping[str, str], message: str
) -> None:
    (found,) = told(tmp_path, files(changes), rule)
    assert message in found


@pytest.mark.parametrize(
    ("rule", "severity", "changes"),
    [
        # No lock says what fastapi brings; a lock that has it not says that nothing does.
        ("IMP001", "warning", {**declared("fastapi"), **service("import fastapi, pydantic\n")}),
        (
            "IMP001",
            "error",
            {
                **declared("httpx"),
                **service("import pydantic\n"),
                **uv_lock(f'name = "httpx"\n{PURE}', needs='{ name = "httpx" }'),
            },
        ),
        # Nothing imports it: a program that lies among the Worker's modules.
        (
            "RUN305",
            "note",
            {"src/convert.py": "import subprocess\n\nsubprocess.run(['make'])\n"},
        ),
        ("IMP005", "error", service("import pwd\n")),
        ("IMP005", "warning", service("\n\ndef who():\n    import pwd\n\n    return pwd\n")),
        ("DEP004", "note", declared("httpx", "a @ https://e.org/a-1-py3-none-any.whl")),
        ("DEP004", "error", declared("httpx", "a @ git+https://e.org/a")),
        ("DEP008", "error", {"requirements.txt": "fastapi\n"}),
        ("DEP008", "warning", {"cf-requirements.txt": "fastapi\n"}),
    ],
)
def test_what_may_be_right_is_milder(
    tmp_path: Path, rule: str, severity: str, changes: Mapping[str, str]
) -> None:
    found = [str(each.severity) for each in checked(tmp_path, files(changes), rule)]
    # httpx is not declared either, where only fastapi is.
    assert found
    assert set(found) == {severity}


def test_a_requirements_file_beside_no_pyproject_is_a_warning(tmp_path: Path) -> None:
    changes = {**BASE, "requirements.txt": "fastapi\n"}
    del changes["pyproject.toml"]
    (found,) = checked(tmp_path, changes, "DEP008")
    assert found.severity == "warning"
    assert "neither wrangler nor pywrangler" in found.message


def test_a_long_list_of_names_is_cut_short(tmp_path: Path) -> None:
    names = "".join(f'NAME_{number} = "x"\n' for number in range(9))
    wrangler = f'{BASE["wrangler.toml"]}\n[vars]\n{names}\n[env.local]\nname = "local"\n'
    (found,) = told(tmp_path, {**BASE, "wrangler.toml": wrangler}, "WRA008")
    assert "NAME_5 and 3 more are missing" in found


def test_a_project_without_a_list_of_its_own_gets_one_note(tmp_path: Path) -> None:
    names = ["a", "b", "c", "d", "e", "f", "g", "h"]
    (found,) = checked(tmp_path, files(declared(*names)), "DEP001")
    assert found.severity == "note"
    assert found.message.startswith("a, b, c, d, e, f and 2 more: not on Forge's own allow-list")
