"""The stand-ins, seen from a test: see `dev/standins`."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from service.providers.chosen import PROVIDERS
from tests.support.choices import ADDRESSES, AUTH

AUTHORIZED_PARTY = "http://localhost:3000"
KEY = "standin-key"

ISSUER = {"clerk": "/clerk", "cloudflare-access": "/access", "oidc": "/oidc"}.get(AUTH, "")
"""Where the issuer is whose tokens this service takes."""

AUTH_ENV = {
    "clerk": {"AUTH_AUTHORIZED_PARTIES": AUTHORIZED_PARTY},
    "cloudflare-access": {"AUTH_AUDIENCE": "standin-application"},
    "oidc": {"AUTH_AUDIENCE": "standin-api"},
}.get(AUTH, {})
"""What this service is to expect of them."""

BASE_PATHS = {
    name: f"/{name.replace('-', '_')}{urlsplit(url).path}" for name, url in ADDRESSES.items()
}
"""Where the stand-in for each provider's API is."""

CALLS = {each.name: each.path.format(model="standin-echo") for each in PROVIDERS}
"""Where each API takes calls, below that."""


@dataclass(frozen=True)
class LibsqlServer:
    """A libSQL server of a test's own; see `dev/standins/turso.py`."""

    url: str
    tokens: dict[str, str]
    control: str
    http: httpx.AsyncClient

    async def kill(self) -> None:
        (await self.http.post(f"{self.control}/kill")).raise_for_status()

    async def start(self) -> None:
        (await self.http.post(f"{self.control}/start")).raise_for_status()


@dataclass(frozen=True)
class StandinsView:
    """The stand-ins at `url`, asked over real HTTP."""

    url: str
    http: httpx.AsyncClient

    async def journal(self, marker: str, wait: int = 5) -> list[dict[str, Any]]:
        """The provider calls with `marker` in their body, once they ended or `wait` seconds on."""
        query = {"marker": marker, "wait": str(wait)}
        answer = await self.http.get(f"{self.url}/journal", params=query)
        calls: list[dict[str, Any]] = answer.raise_for_status().json()
        return calls

    async def token(
        self,
        claims: dict[str, Any] | None = None,
        header: dict[str, Any] | None = None,
        key: str = "main",
    ) -> str:
        """A caller's token; `claims` and `header` go over the defaults, None removes one."""
        order = {"claims": claims or {}, "header": header or {}, "key": key}
        answer = await self.http.post(f"{self.url}{ISSUER}/token", json=order)
        return str(answer.raise_for_status().json()["token"])

    async def libsql_server(self) -> LibsqlServer:
        """A new libSQL server, which asks for one of its `tokens`: full, read or forged."""
        servers = f"{self.url}/turso/servers"
        made = (await self.http.post(servers)).raise_for_status().json()
        return LibsqlServer(made["url"], made["tokens"], f"{servers}/{made['name']}", self.http)

    async def tell_libsql(self, name: str, answer: bytes) -> None:
        """What the libSQL server of this name and the fault `told` answers from now on."""
        place = f"{self.url}/turso/faults/told/{name}"
        (await self.http.post(place, content=answer)).raise_for_status()

    async def libsql_hits(self, name: str) -> int:
        """How often the failing libSQL server of this name was asked."""
        answer = await self.http.get(f"{self.url}/turso/faults/hits/{name}")
        return int(answer.raise_for_status().json())


def credentials(token: str) -> dict[str, str]:
    """The headers that a caller's token comes in."""
    if AUTH == "cloudflare-access":
        return {"cf-access-jwt-assertion": token}
    return {"authorization": f"Bearer {token}"}
