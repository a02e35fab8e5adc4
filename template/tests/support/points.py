"""A double of the Analytics Engine binding: outside of Cloudflare no points can be read back."""

from collections.abc import Mapping
from typing import Any


class Points(list[Mapping[str, Any]]):
    """Keeps what is written."""

    def writeDataPoint(self, point: Mapping[str, Any], /) -> None:  # noqa: N802 - its real name
        self.append(point)
