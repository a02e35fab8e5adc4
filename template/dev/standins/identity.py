"""An identity provider for one machine: Clerk's keys and session tokens, and scripted key servers.

Every private key is made here, on first use, and lives in memory only: a token from here is worth
nothing to a Worker that was not told to trust this very process.

Clerk, under `<base_url>/clerk`:

- `GET /.well-known/jwks.json`: the key set, holding the key "main".
- `POST /token`, body `{"claims": {}, "header": {}, "key": "main", "ttl": 60}`, each optional: a
  session token. `claims` and `header` go over the defaults, null removes one, `ttl` is in seconds.
- `POST /sign/<key>`: the base64url signature of the body, for tokens that no issuer would write.
- `GET /keys/<key>`: the public half of any key, as a JWK.

A key is a name. "none" and "hmac" are the two classic forgeries: no signature, and HS256 with the
public key as its secret. "small" has 1024 bits. Any other name is an RSA key of 2048 bits.

Key servers for tests, under `<base_url>/keys/<name>`:

- `POST /`, body `{"keys": ["main", {}], "status": 200, "headers": {}, "text": "", "hold": false}`,
  each optional: what the server answers from now on. A key is a name or a JWK; `text` goes in the
  place of the key set; with `hold` the answer waits for a release.
- `GET /jwks.json`: that answer.
- `POST /release`: lets the waiting answers go.
- `GET /hits/<n>`: how often jwks.json was asked for; waits until that is at least n.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Answer = tuple[int, dict[str, str], bytes]
JsonObject = dict[str, object]

MAIN = "main"
TOKEN_SECONDS = 60
PATIENCE_SECONDS = 10.0


class RequestError(ValueError):
    """The request makes no sense; the message says which part of it."""


def handle(base_url: str, method: str, path: str, body: bytes) -> Answer:
    """Answers one HTTP request to `/clerk/...` or `/keys/...` with (status, headers, body).

    `base_url` is the server's own address, without a slash at its end.
    """
    room, *rest = path.partition("?")[0].strip("/").split("/")
    try:
        answer = (
            _clerk(base_url, method, rest, body)
            if room == "clerk"
            else _key_server(method, rest, body)
        )
    except ValueError as error:
        return _json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
    return answer or _json({"error": f"no {method} {path} here"}, HTTPStatus.NOT_FOUND)


def _clerk(base_url: str, method: str, path: list[str], body: bytes) -> Answer | None:
    match method, *path:
        case "GET", ".well-known", "jwks.json":
            return _json({"keys": [_keys.public_jwk(MAIN)]})
        case "POST", "token":
            return _json({"token": _mint(base_url, _json_object(body))})
        case "POST", "sign", key:
            return HTTPStatus.OK, {"content-type": "text/plain"}, _keys.sign(key, body).encode()
        case "GET", "keys", key:
            return _json(_keys.public_jwk(key))
    return None


def _key_server(method: str, path: list[str], body: bytes) -> Answer | None:
    match method, *path:
        case "POST", name:
            _key_servers.put(name, _script(_json_object(body)))
            return _json({})
        case "POST", name, "release":
            _key_servers.release(name)
            return _json({})
        case "GET", name, "jwks.json":
            return _key_servers.answer(name)
        case "GET", name, "hits", least:
            return _json(_key_servers.hits(name, int(least)))
    return None


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return status, {"content-type": "application/json"}, json.dumps(value).encode()


def _json_object(body: bytes) -> JsonObject:
    value = json.loads(body or b"{}")
    if not isinstance(value, dict):
        raise RequestError("the body must be a JSON object")
    return value


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _Keys:
    """The private keys of this process by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self._private: dict[str, rsa.RSAPrivateKey] = {}
        # Two threads that ask for a new name at once must get the same key.
        self._lock = threading.Lock()

    def _rsa(self, name: str) -> rsa.RSAPrivateKey:
        with self._lock:
            if name not in self._private:
                bits = 1024 if name == "small" else 2048
                self._private[name] = rsa.generate_private_key(public_exponent=65537, key_size=bits)
            return self._private[name]

    def public_jwk(self, name: str) -> JsonObject:
        """RFC 7517 §4, RFC 7518 §6.3.1."""
        numbers = self._rsa(name).public_key().public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": name,
            "n": _base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")),
            "e": _base64url(numbers.e.to_bytes(3, "big")),
        }

    def sign(self, name: str, data: bytes) -> str:
        """The signature of `data` in base64url: RS256 but for the two forgeries."""
        if name == "none":
            return ""
        if name == "hmac":
            return _base64url(hmac.digest(self._public_pem(MAIN), data, hashlib.sha256))
        return _base64url(self._rsa(name).sign(data, padding.PKCS1v15(), hashes.SHA256()))

    def _public_pem(self, name: str) -> bytes:
        return (
            self._rsa(name)
            .public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )


def _mint(base_url: str, wish: JsonObject) -> str:
    key, ttl = wish.get("key", MAIN), wish.get("ttl", TOKEN_SECONDS)
    claims, header = wish.get("claims", {}), wish.get("header", {})
    if not isinstance(key, str):
        raise RequestError('"key" must be the name of a key')
    if not isinstance(ttl, int):
        raise RequestError('"ttl" must be a whole number of seconds')
    if not isinstance(claims, dict) or not isinstance(header, dict):
        raise RequestError('"claims" and "header" must be JSON objects')
    parts = (_default_header(key) | header, _session_claims(f"{base_url}/clerk", ttl) | claims)
    signed = ".".join(
        _base64url(json.dumps(_without_null(part), separators=(",", ":")).encode())
        for part in parts
    )
    return f"{signed}.{_keys.sign(key, signed.encode())}"


def _without_null(part: JsonObject) -> JsonObject:
    return {name: value for name, value in part.items() if value is not None}


def _default_header(key: str) -> JsonObject:
    forgeries = {"none": "none", "hmac": "HS256"}
    kid = MAIN if key in forgeries else key
    return {"alg": forgeries.get(key, "RS256"), "kid": kid, "typ": "JWT"}


def _session_claims(issuer: str, ttl: int) -> JsonObject:
    """The claims of a Clerk session token, version 2."""
    now = int(time.time())
    return {
        "azp": "http://localhost:3000",
        "exp": now + ttl,
        "fva": [0, -1],
        "iat": now,
        "iss": issuer,
        "jti": uuid.uuid4().hex,
        "nbf": now - 10,
        "sid": "sess_dev",
        "sts": "active",
        "sub": "user_dev",
        "v": 2,
    }


@dataclass(frozen=True)
class _Script:
    answer: Answer
    hold: bool


def _script(wish: JsonObject) -> _Script:
    keys, status = wish.get("keys", []), wish.get("status", HTTPStatus.OK)
    headers, text = wish.get("headers", {}), wish.get("text")
    if not isinstance(keys, list) or not isinstance(headers, dict) or not isinstance(status, int):
        raise RequestError('"keys" must be a list, "headers" an object and "status" a number')
    jwks = [_keys.public_jwk(key) if isinstance(key, str) else key for key in keys]
    body = text if isinstance(text, str) else json.dumps({"keys": jwks})
    all_headers = {"content-type": "application/json"} | headers
    return _Script((status, all_headers, body.encode()), hold=wish.get("hold") is True)


class _KeyServers:
    """The scripted key servers by name. Each test takes a name of its own."""

    def __init__(self) -> None:
        self._scripts: dict[str, _Script] = {}
        self._hits: Counter[str] = Counter()
        self._releases: Counter[str] = Counter()
        self._changed = threading.Condition()

    def put(self, name: str, script: _Script) -> None:
        with self._changed:
            self._scripts[name] = script

    def release(self, name: str) -> None:
        with self._changed:
            self._releases[name] += 1
            self._changed.notify_all()

    def answer(self, name: str) -> Answer:
        with self._changed:
            script, releases = self._scripts.get(name), self._releases[name]
            self._hits[name] += 1
            self._changed.notify_all()
            if script is None:
                return _json({"error": f"nothing scripted for {name}"}, HTTPStatus.NOT_FOUND)
            if script.hold:
                self._changed.wait_for(lambda: self._releases[name] > releases, PATIENCE_SECONDS)
            return script.answer

    def hits(self, name: str, least: int) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._hits[name] >= least, PATIENCE_SECONDS)
            return self._hits[name]


_keys = _Keys()
_key_servers = _KeyServers()
