"""Chromium without a window, driven over WebDriver."""

import fcntl
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import httpx

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id, by the standard

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def installed() -> str:
    """The driver's program. On Debian as root it is installed when it is missing."""
    with Path(gettempdir(), "forge-tests-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shutil.which("chromedriver") and shutil.which("apt-get"):
            for command in (["update"], ["install", "-y", "chromium", "chromium-driver"]):
                subprocess.run(["apt-get", "-qq", *command], check=True, capture_output=True)
    program = shutil.which("chromedriver")
    assert program, "the tests of the page need Chromium and chromedriver"
    return program


class Browser:
    """One browser with one page."""

    def __init__(self, client: httpx.Client, session: str) -> None:
        self.client = client
        self.session = session

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        answer = self.client.request(
            method, f"/session/{self.session}{path}", json=body if method == "POST" else None
        )
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value

    def open(self, page: Path) -> None:
        self.call("POST", "/url", {"url": page.as_uri()})

    def js(self, expression: str) -> Any:  # noqa: ANN401
        script = {"script": f"return {expression}", "args": []}
        return self.call("POST", "/execute/sync", script)

    def protocol(self, command: str, **parameters: Any) -> Any:  # noqa: ANN401
        """A command of Chromium's own protocol."""
        body = {"cmd": command, "params": parameters}
        return self.call("POST", "/goog/cdp/execute", body)

    def element(self, selector: str) -> str:
        wanted = {"using": "css selector", "value": selector}
        return str(self.call("POST", "/element", wanted)[ELEMENT])

    def click(self, selector: str) -> None:
        self.call("POST", f"/element/{self.element(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        self.call("POST", f"/element/{self.element(selector)}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Keys for whatever has the focus, one after the other."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        sources = [{"type": "key", "id": "keyboard", "actions": actions}]
        self.call("POST", "/actions", {"actions": sources})

    def messages(self) -> list[str]:
        """What the page has written on the console, refusals of its policy among it."""
        return [entry["message"] for entry in self.call("POST", "/se/log", {"type": "browser"})]


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser whose profile is an empty folder."""
    with subprocess.Popen(
        [installed(), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as driver:
        assert driver.stdout
        try:
            port = next(
                found[1]
                for line in driver.stdout
                if (found := re.search(r"started successfully on port (\d+)", line))
            )
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                options = {"args": [*FLAGS, f"--user-data-dir={folder}"]}
                wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
                body = {"capabilities": {"alwaysMatch": wanted}}
                answer = client.post("/session", json=body).json()["value"]
                assert "sessionId" in answer, answer
                yield Browser(client, answer["sessionId"])
                client.delete(f"/session/{answer['sessionId']}")
        finally:
            driver.terminate()
