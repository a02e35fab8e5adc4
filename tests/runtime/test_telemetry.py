"""What telemetry makes, handed to real workerd: spans to its tracing, points to Analytics Engine.

Python Workers do not run here: JavaScript makes the calls that the service's Python would make.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias
from urllib.request import urlopen

import pytest

from tests.runtime.conftest import Make, environment, run
from tests.support import write

Json: TypeAlias = dict[str, Any]

# Two calls as the service tells of them, and what it would have the platform make of that.
SPANS = """
import json, sys
sys.path.insert(0, "src")
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

# Calls that are short and calls that are as long as nobody foresaw.
POINTS = """
import json, sys
sys.path.insert(0, "src")
from service.telemetry.analytics_engine import AnalyticsEngine
from service.telemetry.events import ProviderCall

class Binding(list):
    writeDataPoint = list.append

points = Binding()
engine = AnalyticsEngine(points)
for text in ("m", "", "x" * 100_000, "\N{CRAB}" * 30_000, "\u00e9" * 9_001):
    for subject in (None, text):
        told = dict(subject=subject, cache_status=text, outcome=text, attempts=2, latency_ms=9.5)
        engine.record(ProviderCall("r1", provider=text, model=text, route=text, **told))
print(json.dumps(points))
"""

TRACING: Mapping[str, str] = {
    "config.capnp": """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .mainWorker), (name = "tail", worker = .tailWorker)],
  sockets = [(name = "http", http = (), service = "main")]
);
const mainWorker :Workerd.Worker = (
  modules = [
    (name = "main.js", esModule = embed "main.js"),
    (name = "made.json", json = embed "made.json")
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
import spans from 'made.json';

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

ENGINE: Mapping[str, str] = {
    "config.capnp": """\
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .mainWorker), (name = "engine", worker = .engineWorker)],
  sockets = [(name = "http", http = (), service = "main")]
);
const mainWorker :Workerd.Worker = (
  modules = [
    (name = "main.js", esModule = embed "main.js"),
    (name = "made.json", json = embed "made.json")
  ],
  compatibilityDate = "2026-11-01",
  bindings = [(name = "ANALYTICS", analyticsEngine = "engine")]
);
const engineWorker :Workerd.Worker = (
  modules = [(name = "engine.js", esModule = embed "engine.js")],
  compatibilityDate = "2026-11-01"
);
""",
    "main.js": """\
import points from 'made.json';

export default {
  fetch(request, env) {
    for (const point of points) env.ANALYTICS.writeDataPoint(point);
    return new Response();
  },
};
""",
    "engine.js": """\
export default {
  async fetch(request) {
    console.log(await request.text());
    return new Response();
  },
};
""",
}


def test_workerd_takes_the_spans_as_they_are_made(make: Make, tmp_path: Path) -> None:
    project = make({"telemetry": "otlp"})
    made = json.loads(run(project, sys.executable, "-c", SPANS))
    told = list(serve(project, tmp_path, TRACING, made, last=is_outcome))
    assert [event["name"] for event in told if event["type"] == "spanOpen"] == ["chat m"] * 2
    attributes = [
        {each["name"]: each["value"] for each in event["info"]}
        for event in told
        if event["type"] == "attributes"
    ]
    assert attributes == [attributes for _, attributes, _ in made]
    statuses = [event["info"]["status"] for event in told if event["type"] == "spanUpdate"]
    assert statuses == [{"code": "error", "message": "overloaded"}]


def is_outcome(event: Json) -> bool:
    return bool(event["type"] == "outcome")


def test_workerd_takes_every_point_that_is_made(make: Make, tmp_path: Path) -> None:
    project = make({})
    made = json.loads(run(project, sys.executable, "-c", POINTS))
    # One that is too large is dropped without a word; so would ours be.
    too_large = {"indexes": ["x" * 97], "blobs": [], "doubles": []}
    end = {"indexes": ["end"], "blobs": [], "doubles": []}
    *told, _ = serve(project, tmp_path, ENGINE, [*made, too_large, end], last=is_end)
    assert [point_of(event) for event in told] == made


def is_end(event: Json) -> bool:
    return text_of(event, "index1") == "end"


def point_of(event: Json) -> Json:
    """What the engine is sent, as it was written; of the columns only those that the Worker has."""
    return {
        "indexes": [text_of(event, "index1")],
        "blobs": [text_of(event, f"blob{number}") for number in range(1, 7)],
        "doubles": [event[f"double{number}"] for number in range(1, 10)],
    }


def text_of(event: Json, column: str) -> str:
    return bytes(event.get(column, [])).decode()


def serve(
    project: Path,
    folder: Path,
    files: Mapping[str, str],
    made: object,
    last: Callable[[Json], bool],
) -> Iterator[Json]:
    """What the Workers in `files` print, as JSON, of one request, up to the `last`."""
    write(folder, {**files, "made.json": json.dumps(made)})
    binary = run(project, "node", "--print", "require('workerd').default").strip()
    with serving(binary, folder) as process:
        assert process.stdout
        port = json.loads(process.stdout.readline())["port"]
        # What it prints has to be read meanwhile, or it would wait for that.
        asking = Thread(target=ask, args=[port], daemon=True)
        asking.start()
        for line in process.stdout:
            if line.startswith("{"):
                event: Json = json.loads(line)
                yield event
                if last(event):
                    asking.join(10)
                    return
    pytest.fail("workerd ended early")


def ask(port: int) -> None:
    with urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
        answer.read()


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
