# /// script
# requires-python = ">=3.11"
# dependencies = ["chdb-core==26.9.0"]
#
# [tool.uv]
# # Of data frames it can make, and here need not.
# override-dependencies = ["pandas ; python_version < '3'", "pyarrow ; python_version < '3'"]
# ///
"""`uv run --script in_clickhouse.py`: runs SQL in ClickHouse itself, which needs no server.

Reads a JSON object from stdin: "statements" to begin with, and "queries" by name. Writes one with
each query's rows, by its name.
"""

import json
import sys

from chdb.session import Session  # type: ignore[import-not-found]

order = json.load(sys.stdin)
session = Session()
for statement in order["statements"]:
    session.query(statement)
rows = {
    name: json.loads(session.query(query, "JSON").data())["data"]
    for name, query in order["queries"].items()
}
json.dump(rows, sys.stdout)
