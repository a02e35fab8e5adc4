"""Handlers that nothing calls."""

from pathlib import Path

import pytest

from forge_scaffold.checks.examples import BASE, files
from tests.checks.support import told

MAIN = BASE["src/entry.py"]
OWN = """\
    async def email(self, message):
        await self.on_email(message)

    async def on_email(self, message):
        print(message)
"""


@pytest.mark.parametrize("handler", ["email", "tail", "queue", "scheduled"])
def test_a_function_of_old_in_a_class(tmp_path: Path, handler: str) -> None:
    main = f"{MAIN}\n    async def on_{handler}(self, message):\n        print(message)\n"
    (line,) = told(tmp_path, files({"src/entry.py": main}), "WRA")
    assert "src/entry.py:10: WRA017" in line
    assert f"on_{handler}: nothing calls it in a class; the method's name is {handler}" in line


@pytest.mark.parametrize(
    "more",
    [
        "    async def email(self, message):\n        await message.forward('a@example.org')\n",
        "    async def tail(self, events):\n        for each in events:\n            print(each)\n",
        OWN,
    ],
)
def test_what_is_called_from_outside(tmp_path: Path, more: str) -> None:
    assert told(tmp_path, files({"src/entry.py": f"{MAIN}\n{more}"}), "WRA") == []
