"""The Worker's own way to JavaScript's tracing, which is a double: a real span cannot be read."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import js
import pytest
import workers
from pyodide.ffi import create_proxy, to_js

from service.platform import start_span
from service.runtime import StartSpan

Span = dict[str, object]

without_tracing = start_span


@contextmanager
def tracing() -> Iterator[tuple[StartSpan, list[Span]]]:
    """What starts spans, and the spans as they are ended: name, attributes, status."""
    ended: list[Span] = []
    proxies: list[Any] = []

    def methods(**functions: Callable[..., object]) -> Any:
        new = {name: create_proxy(function) for name, function in functions.items()}
        proxies.extend(new.values())
        return _object(new)

    # As picky as workerd's: a Map has no attributes, a status is one of three words.
    def begin(name: str) -> Any:
        span: Span = {"name": name, "attributes": {}, "status": None}

        def set_attributes(attributes: Any) -> None:
            values = js.Object.fromEntries(js.Object.entries(attributes)).to_py()
            if not all(isinstance(value, str | int | float) for value in values.values()):
                raise TypeError(str(values))
            span["attributes"] = values

        def set_status(status: Any) -> None:
            if status.code not in {"unset", "ok", "error"}:
                raise TypeError(status.code)
            span["status"] = {"code": status.code, "message": status.message}

        return methods(
            setAttributes=set_attributes, setStatus=set_status, end=lambda: ended.append(span)
        )

    module = _object({"tracing": methods(startSpan=begin)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "import_from_javascript", lambda _name: module)
        yield start_span, ended
    for proxy in proxies:
        proxy.destroy()


def _object(entries: Mapping[str, object]) -> Any:
    return to_js(entries, dict_converter=js.Object.fromEntries)
