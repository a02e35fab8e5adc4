"""The stand-in identity provider seen from a test: see `dev/standins/identity.py`."""

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass

import httpx

from service.auth.algorithms import decode_base64url

Json = dict[str, object]


@dataclass(frozen=True)
class Issuer:
    """Real keys, and signatures over whatever a test wants to have signed."""

    url: str
    http: httpx.AsyncClient

    async def public_key(self, name: str = "main") -> Json:
        """The public half of the key called `name`, as a JWK."""
        answer = await self.http.get(f"{self.url}/keys/{name}")
        jwk: Json = answer.raise_for_status().json()
        return jwk

    async def pem(self, name: str = "main") -> str:
        """The same in PEM."""
        answer = await self.http.get(f"{self.url}/pem/{name}")
        return answer.raise_for_status().text

    async def signature(self, data: bytes, key: str = "main") -> bytes:
        """The signature of any data."""
        answer = await self.http.post(f"{self.url}/sign/{key}", content=data)
        text = answer.raise_for_status().text
        return decode_base64url(text) if text else b""

    async def sign(self, header: Json | bytes, claims: Json | bytes, key: str = "main") -> str:
        """A token of just these parts."""
        signed = signing_input(header, claims)
        return f"{signed}.{base64url(await self.signature(signed.encode(), key))}"


@dataclass(frozen=True)
class KeyServer:
    """A key server of one test's own, that answers as it is told."""

    url: str
    http: httpx.AsyncClient

    @property
    def jwks_url(self) -> str:
        return f"{self.url}/jwks.json"

    async def serve(self, *keys: object, **answer: object) -> None:
        """Answer with these keys from now on, each a name or a JWK, or otherwise with `answer`."""
        order = {"keys": keys, **answer}
        (await self.http.post(self.url, json=order)).raise_for_status()

    async def discovery(self, *, hold: bool = False, **document: object) -> None:
        """Answer with a discovery document of these members."""
        await self.serve(text=json.dumps(document), hold=hold)

    async def release(self) -> None:
        """Let the answers go that `hold` keeps waiting."""
        (await self.http.post(f"{self.url}/release", content=b"")).raise_for_status()

    async def hits(self, at_least: int = 0) -> int:
        """How often the keys were asked for, as soon as that is `at_least`."""
        answer = await self.http.get(f"{self.url}/hits/{at_least}")
        return int(answer.raise_for_status().text)


class Clock:
    """A clock that a test winds; seconds since the epoch."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def signing_input(header: Json | bytes, claims: Json | bytes) -> str:
    """A token without its signature (RFC 7515, section 5.1)."""
    parts = (p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, claims))
    return ".".join(map(base64url, parts))
