"""The spans of provider calls in real workerd, whose tracing takes them and tells them on.

Python Workers do not run here: JavaScript makes the calls that `service/platform.py` makes.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.request import urlopen

import pytest

from tests.runtime.conftest import Make, environment, run
from tests.support import write

Json: TypeAlias = dict[str, Any]

# Two calls as the service tells of them, and what it would have the platform make of that.
CALLS = """
import json
from service.telemetry.events import ProviderCall
from service.telemetry.spans import Spans

made = []

def start_span(name):
    return lambda attributes, failure: made.append([name, attributes, failure])

known = dict(request_id="r1", provider="google", model="m", route="/v1/chat", attempts=2)
ok = dict(outcome="ok", latency_ms=9.5, first_token_ms=1.5, input_tokens=3, output_tokens=4)
for told in (ok, dict(outcome="overloaded", latency_ms=9.5, fallback=True)):
    Spans(start_span).begin("google", "m")(ProviderCall(**known, **told))
print(json.dumps(made))
"""

WORKERD: dict[str, str] = {
    "config.capnp": """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .mainWorker), (name = "tail", worker = .tailWorker)],
  sockets = [(name = "http", http = (), service = "main")]
);
const mainWorker :Workerd.Worker = (
  modules = [
    (name = "main.js", esModule = embed "main.js"),
    (name = "spans.json", json = embed "spans.json")
  ],
  compatibilityDate = "2026-11-01",
  streamingTails = ["tail"]
);
const tailWorker :Workerd.Worker = (
  modules = [(name = "tail.js", esModule = embed "tail.js")],
  compatibilityDate = "2026-11-01",
  compatibilityFlags = ["experimental", "streaming_tail_worker"]
);
""",
    "main.js": """\
import { tracing } from 'cloudflare:workers';
import spans from 'spans.json';

export default {
  fetch() {
    for (const [name, attributes, failure] of spans) {
      const span = tracing.startSpan(name);
      span.setAttributes(attributes);
      if (failure !== null) span.setStatus({ code: 'error', message: failure });
      span.end();
    }
    return new Response();
  },
};
""",
    "tail.js": """\
export default {
  tailStream: () => ({ event }) => console.log(JSON.stringify(event)),
};
""",
}


def test_workerd_takes_the_spans_as_they_are_made(make: Make, tmp_path: Path) -> None:
    project = make({"telemetry": "otlp"})
    code = f"import sys; sys.path.insert(0, 'src')\n{CALLS}"
    made = json.loads(run(project, sys.executable, "-c", code))
    write(tmp_path, {**WORKERD, "spans.json": json.dumps(made)})
    binary = run(project, "node", "--print", "require('workerd').default").strip()

    told = list(events(binary, tmp_path))
    assert [event["name"] for event in told if event["type"] == "spanOpen"] == ["chat m"] * 2
    attributes = [
        {each["name"]: each["value"] for each in event["info"]}
        for event in told
        if event["type"] == "attributes"
    ]
    assert attributes == [attributes for _, attributes, _ in made]
    statuses = [event["info"]["status"] for event in told if event["type"] == "spanUpdate"]
    assert statuses == [{"code": "error", "message": "overloaded"}]


def events(workerd: str, folder: Path) -> Iterator[Json]:
    """What one request's tail is told."""
    with serving(workerd, folder) as process:
        assert process.stdout
        port = json.loads(process.stdout.readline())["port"]
        urlopen(f"http://127.0.0.1:{port}/", timeout=10).close()
        for line in process.stdout:
            if line.startswith("{"):
                event: Json = json.loads(line)
                yield event
                if event["type"] == "outcome":
                    return
    pytest.fail("workerd ended early")


@contextmanager
def serving(workerd: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [workerd, "serve", "config.capnp", "--experimental", "--control-fd=1"]
    process = subprocess.Popen(
        [*command, "--socket-addr=http=127.0.0.1:0"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        assert process.stdout
        process.stdout.close()
