"""Runs inside Pyodide: compiles its standard library, which it would do anew at each start."""

import io
import sys
import zipfile
from importlib.util import MAGIC_NUMBER
from marshal import dumps
from pathlib import PurePosixPath

PLACE = PurePosixPath(sys.prefix) / "lib" / "python314.zip"
HEADER = MAGIC_NUMBER + (0b01).to_bytes(4, "little") + bytes(8)
"""Of a compiled file that is told by its source's hash, which nobody checks (PEP 552)."""


def compile_stdlib(source: bytes) -> bytes:
    """Zip the modules of the zipped `source` again, each beside its compiled self."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(source)) as modules, zipfile.ZipFile(out, "w") as compiled:
        for name in modules.namelist():
            text = modules.read(name)
            compiled.writestr(name, text)
            if name.endswith(".py"):
                code = compile(text, str(PLACE / name), "exec", dont_inherit=True)
                compiled.writestr(f"{name}c", HEADER + dumps(code))
    return out.getvalue()


compile_stdlib
