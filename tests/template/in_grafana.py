# /// script
# requires-python = ">=3.11"
# dependencies = ["grafana-foundation-sdk==1769699998!10.1.0"]
# ///
"""`uv run --script in_grafana.py`: a dashboard through Grafana's own model of dashboards.

Reads its JSON from stdin, writes the JSON of what the model knows of it.
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder  # type: ignore[import-not-found]
from grafana_foundation_sdk.cog.plugins import (  # type: ignore[import-not-found]
    register_default_plugins,
)
from grafana_foundation_sdk.models.dashboard import Dashboard  # type: ignore[import-not-found]

register_default_plugins()
dashboard = Dashboard.from_json(json.load(sys.stdin))
sys.stdout.write(JSONEncoder().encode(dashboard))
