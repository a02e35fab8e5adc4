"""The Worker's own way to JavaScript's tracing, which is a double: a real span cannot be read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import workers
from pyodide.code import run_js
from pyodide.ffi import create_proxy

from service.platform import start_span
from service.runtime import StartSpan

Span = dict[str, object]

without_tracing = start_span

# As picky as workerd's: a Map has no attributes, a status is one of three words.
TRACING = """(ended) => ({
  startSpan(name) {
    const span = { name, attributes: {}, status: null };
    return {
      setAttributes(attributes) {
        for (const [key, value] of Object.entries(attributes)) {
          if (!['string', 'number', 'boolean'].includes(typeof value)) throw new TypeError(key);
          span.attributes[key] = value;
        }
      },
      setStatus({ code, message }) {
        if (!['unset', 'ok', 'error'].includes(code)) throw new TypeError(code);
        span.status = { code, message };
      },
      end: () => ended(JSON.stringify(span)),
    };
  },
})"""


@contextmanager
def tracing() -> Iterator[tuple[StartSpan, list[Span]]]:
    """What starts spans, and the spans as they are ended: name, attributes, status."""
    ended: list[Span] = []
    end = create_proxy(lambda span: ended.append(json.loads(span)))
    module = workers.import_from_javascript("cloudflare:workers")
    module.tracing = run_js(TRACING)(end)
    try:
        yield start_span, ended
    finally:
        del module.tracing
        end.destroy()
