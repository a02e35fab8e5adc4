"""Chromium without a window, driven over WebDriver."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import httpx
import pytest

from tests.support import alone

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element's id, by the standard

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


PACKAGES = ("chromium", "chromium-driver")  # of Debian

# The contrast of the text of elements with the page behind it (WCAG 2.2, 1.4.3).
CONTRASTS = """((selector) => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const light = (...layers) => {
    for (const colour of layers) {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const background = getComputedStyle(document.body).backgroundColor;
  const paper = light(background);
  return [...document.querySelectorAll(selector)].map((one) => {
    const ink = light(background, getComputedStyle(one).color);
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  });
})"""


def installed() -> str:
    """The driver's program. On Debian as root it is installed when it is missing."""
    with alone(Path(gettempdir(), "forge-tests-chromium.lock")):
        program = shutil.which("chromedriver")
        told = ""
        if not program and shutil.which("apt-get"):
            told = _installing()
            program = shutil.which("chromedriver")
    assert program, f"the tests of the page need {' and '.join(PACKAGES)}: install them{told}"
    return program


def _installing() -> str:
    """Have apt install the packages; what it said, when it failed."""
    told = ""
    # The lists of packages may be old, and other programs may hold apt's lock.
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        run = subprocess.run(
            ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", *command],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            check=False,
            capture_output=True,
            text=True,
        )
        if run.returncode:
            told += f"\napt-get {command[0]} ended with {run.returncode}: {run.stderr.strip()}"
    return told


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

    def open(self, page: Path | str) -> None:
        """Load a file or a URL."""
        url = page.as_uri() if isinstance(page, Path) else page
        self.call("POST", "/url", {"url": url})

    def js(self, expression: str) -> Any:  # noqa: ANN401
        script = {"script": f"return {expression}", "args": []}
        return self.call("POST", "/execute/sync", script)

    def protocol(self, command: str, **parameters: Any) -> Any:  # noqa: ANN401
        """A command of Chromium's own protocol."""
        body = {"cmd": command, "params": parameters}
        return self.call("POST", "/goog/cdp/execute", body)

    def resize(self, width: int) -> None:
        self.protocol(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=width < 700,
        )

    def prefer(self, scheme: str) -> None:
        """Prefer light or dark pages."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.protocol("Emulation.setEmulatedMedia", features=features)

    def lowest_contrast(self, selector: str) -> float:
        return float(self.js(f"Math.min(...{CONTRASTS}({json.dumps(selector)}))"))

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
def browser(folder: Path, *flags: str) -> Iterator[Browser]:
    """A browser whose profile is an empty folder."""
    with subprocess.Popen(
        [installed(), "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as driver:
        assert driver.stdout
        try:
            said = []
            for line in driver.stdout:
                said.append(line)
                if found := re.search(r"started successfully on port (\d+)", line):
                    break
            else:
                pytest.fail(f"chromedriver ended: {''.join(said)}")
            port = found[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                options = {"args": [*FLAGS, *flags, f"--user-data-dir={folder}"]}
                wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
                body = {"capabilities": {"alwaysMatch": wanted}}
                answer = client.post("/session", json=body).json()["value"]
                assert "sessionId" in answer, answer
                yield Browser(client, answer["sessionId"])
                client.delete(f"/session/{answer['sessionId']}")
        finally:
            driver.terminate()
