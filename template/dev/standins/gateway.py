"""An AI Gateway in front of the providers' stand-ins: behaviour chosen by the gateway's name.

| gateway | what happens |
| --- | --- |
| `standin` | calls go through; with a TTL, what was asked before is said to come out of the cache |
| `standin-authenticated` | so, for calls with the token `standin-gateway-token` |
| `standin-limited` | the gateway's own 429 |
| `standin-guarded` | its guardrails block the prompt |
| `standin-down` | its own 503 |
| `standin-unanswered` | its 400 for a provider that did not answer |
| `standin-missing` | its 400 for a gateway that does not exist |
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dev.standins.apis import APIS

TOKEN = "standin-gateway-token"  # noqa: S105 - as much of a secret as a door that is painted on
_PATH = re.compile(r"/gateway/[0-9a-f]{32}/(?P<gateway>[a-z0-9_-]{1,64})/(?P<path>.+)")
_ERRORS = {
    "standin-limited": (429, 2003, "Rate limited"),
    "standin-guarded": (424, 2016, "Prompt blocked due to security configurations"),
    "standin-down": (503, 2000, "The gateway is down"),
    "standin-unanswered": (400, 2005, "Failed to get response from provider"),
    "standin-missing": (400, 2001, "Please configure AI Gateway in the Cloudflare dashboard"),
}


@dataclass(frozen=True)
class Passage:
    """A call that came through: the gateway, and the path of the API behind it."""

    gateway: str
    path: str

    def refusal(self, headers: Mapping[str, str]) -> tuple[int, object] | None:
        """The status and body of the gateway's own answer, where it lets nothing through."""
        if error := _ERRORS.get(self.gateway):
            return error[0], _error(*error)
        token = headers.get("cf-aig-authorization")
        if self.gateway == "standin-authenticated" and token != f"Bearer {TOKEN}":
            return 401, _error(401, 2009, "Unauthorized")
        if not (_is_ttl(headers) and _is_metadata(headers)):
            return 400, _error(400, 2001, "A header is not valid")
        return None

    def headers(self, sent: Mapping[str, str], earlier: int) -> dict[str, str]:
        """What the gateway adds to the answer."""
        status = "HIT" if earlier and "cf-aig-cache-ttl" in sent else "MISS"
        return {"cf-aig-cache-status": status, "cf-aig-log-id": "log_standin"}


def passage(path: str) -> Passage | None:
    """The way that a path takes through a gateway; None if it takes none."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    for api in APIS:
        name, _, path = match["path"].partition(f"{api.gateway_path}/")
        if not name and path:
            return Passage(match["gateway"], f"{api.base}/{path}")
    return None


def _error(status: int, code: int, message: str) -> object:
    reasons = [{"code": code, "message": message}]
    told = {"success": False, "result": [], "messages": [], "error": reasons}
    return {**told, "name": "AiGatewayError", "httpCode": status, "internalCode": code}


def _is_ttl(headers: Mapping[str, str]) -> bool:
    ttl = headers.get("cf-aig-cache-ttl", "60")
    return ttl.isdecimal() and 60 <= int(ttl) <= 31 * 24 * 60 * 60


def _is_metadata(headers: Mapping[str, str]) -> bool:
    try:
        metadata = json.loads(headers.get("cf-aig-metadata", "{}"))
    except ValueError:
        return False
    return (
        isinstance(metadata, dict)
        and len(metadata) <= 5
        and all(isinstance(value, str | int | float) for value in metadata.values())
    )
