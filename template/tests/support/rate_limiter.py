"""A rate limiting binding's face over a counter, for CPython, where the real one cannot run."""

import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG = tomllib.loads((Path(__file__).parents[2] / "wrangler.toml").read_text())

LIMIT: int = CONFIG["ratelimits"][0]["simple"]["limit"]
"""Requests in a period, as wrangler.toml has it."""


class RateLimiter:
    """One period that never ends."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()

    async def limit(self, options: Mapping[str, Any], /) -> Mapping[str, object]:
        self._counted[options["key"]] += 1
        return {"success": self._counted[options["key"]] <= LIMIT}
