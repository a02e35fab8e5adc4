"""Identity providers for one machine: issuers with their keys and tokens, and scripted key servers.

Every private key is made here, on first use, and lives in memory only: a token from here is worth
nothing to a Worker that was not told to trust this very process.

The issuers are Clerk under `<base_url>/clerk`, Cloudflare Access under `/access`, and one that has
an OpenID Connect discovery document under `/oidc`. Each has

- its key set, and what leads there, where the original has them;
- `POST /token`, body `{"claims": {}, "header": {}, "key": "main", "ttl": 60}`, each optional: a
  token. `claims` and `header` go over the defaults, null removes one, `ttl` is in seconds;
- `POST /sign/<key>`: the base64url signature of the body, for tokens that no issuer would write;
- `GET /keys/<key>`: the public half of any key, as a JWK;
- `GET /pem/<key>`: the same in PEM.

A key is a name. "none" and "hmac" are the two classic forgeries: no signature, and HS256 with the
public key as its secret. "small" has 1024 bits. A name that begins with an algorithm's, such as
"ES256" or "PS256-other", is a key for that; any other is one for RS256, of 2048 bits.

Key servers for tests, under `<base_url>/keys/<name>`:

- `POST /`, body `{"keys": ["main", {}], "status": 200, "headers": {}, "text": "", "hold": false}`,
  each optional: what the server answers from now on. A key is a name or a JWK; `text` goes in the
  place of the key set; with `hold` the answer waits for a release.
- `GET /jwks.json`, `GET /.well-known/openid-configuration`: that answer.
- `POST /release`: lets the waiting answers go.
- `GET /hits/<n>`: how often they were asked for; waits until that is at least n.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

Answer = tuple[int, dict[str, str], bytes]
JsonObject = dict[str, object]

MAIN = "main"
TOKEN_SECONDS = 60
PATIENCE_SECONDS = 10.0


class RequestError(ValueError):
    """The request makes no sense; the message says which part of it."""


def handle(base_url: str, method: str, path: str, body: bytes) -> Answer:
    """Answers one HTTP request to an issuer or to `/keys/...` with (status, headers, body).

    `base_url` is the server's own address, without a slash at its end.
    """
    room, *rest = path.partition("?")[0].strip("/").split("/")
    try:
        if room == "keys":
            answer = _key_server(method, rest, body)
        else:
            answer = _issuer(room, f"{base_url}/{room}", method, rest, body)
    except ValueError as error:
        return _json({"error": str(error)}, HTTPStatus.BAD_REQUEST)
    return answer or _json({"error": f"no {method} {path} here"}, HTTPStatus.NOT_FOUND)


def _issuer(room: str, url: str, method: str, path: list[str], body: bytes) -> Answer | None:
    match method, "/".join(path):
        case "GET", place if place in _PUBLISHED[room]:
            return _json(_PUBLISHED[room][place](url))
        case "POST", "token":
            return _json({"token": _mint(_CLAIMS[room](url), _json_object(body))})
    match method, *path:
        case "POST", "sign", key:
            return HTTPStatus.OK, {"content-type": "text/plain"}, _keys.sign(key, body).encode()
        case "GET", "keys", key:
            return _json(_keys.public_jwk(key))
        case "GET", "pem", key:
            return HTTPStatus.OK, {"content-type": "application/x-pem-file"}, _keys.public_pem(key)
    return None


def _key_server(method: str, path: list[str], body: bytes) -> Answer | None:
    match method, *path:
        case "POST", name:
            _key_servers.put(name, _script(_json_object(body)))
            return _json({})
        case "POST", name, "release":
            _key_servers.release(name)
            return _json({})
        case ("GET", name, "jwks.json") | ("GET", name, ".well-known", "openid-configuration"):
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


PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_CURVES: Mapping[str, ec.EllipticCurve] = {
    "ES256": ec.SECP256R1(),
    "ES384": ec.SECP384R1(),
    "ES512": ec.SECP521R1(),
}
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", *_CURVES, "EdDSA", "Ed25519")


def _algorithm(key: str) -> str:
    begin = key.partition("-")[0]
    return begin if begin in _ALGORITHMS else "RS256"


class _Keys:
    """The private keys of this process by name, each made when it is first asked for."""

    def __init__(self) -> None:
        self._private: dict[str, PrivateKey] = {}
        # Two threads that ask for a new name at once must get the same key.
        self._lock = threading.Lock()

    def _key(self, name: str) -> PrivateKey:
        with self._lock:
            if name not in self._private:
                self._private[name] = _new_key(name)
            return self._private[name]

    def public_jwk(self, name: str) -> JsonObject:
        """RFC 7517 §4."""
        public = _public_members(self._key(name))
        return {**public, "use": "sig", "alg": _algorithm(name), "kid": name}

    def sign(self, name: str, data: bytes) -> str:
        """The signature of `data` in base64url, by the key's algorithm but for the forgeries."""
        if name == "none":
            return ""
        if name == "hmac":
            return _base64url(hmac.digest(self.public_pem(MAIN), data, hashlib.sha256))
        return _base64url(_signature(self._key(name), _algorithm(name), data))

    def public_pem(self, name: str) -> bytes:
        """RFC 7468 §13."""
        return (
            self._key(name)
            .public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )


def _new_key(name: str) -> PrivateKey:
    algorithm = _algorithm(name)
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm.startswith("Ed"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 1024 if name == "small" else 2048)


def _public_members(key: PrivateKey) -> JsonObject:
    """RFC 7518 §6.2.1 and §6.3.1, RFC 8037 §2."""
    if isinstance(key, rsa.RSAPrivateKey):
        rsa_numbers = key.public_key().public_numbers()
        n = _octets(rsa_numbers.n, key.key_size)
        return {"kty": "RSA", "n": n, "e": _octets(rsa_numbers.e, 24)}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        ec_numbers, bits = key.public_key().public_numbers(), key.key_size
        x, y = _octets(ec_numbers.x, bits), _octets(ec_numbers.y, bits)
        return {"kty": "EC", "crv": f"P-{bits}", "x": x, "y": y}
    x = _base64url(key.public_key().public_bytes_raw())
    return {"kty": "OKP", "crv": "Ed25519", "x": x}


def _signature(key: PrivateKey, algorithm: str, data: bytes) -> bytes:
    """RFC 7518 §3, RFC 8037 §3.1."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    digest = _HASHES[algorithm[2:]]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.key_size + 7) // 8
        halves = utils.decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
        return b"".join(half.to_bytes(size, "big") for half in halves)
    pss = padding.PSS(padding.MGF1(digest), salt_length=digest.digest_size)
    return key.sign(data, pss if algorithm.startswith("PS") else padding.PKCS1v15(), digest)


def _octets(number: int, bits: int) -> str:
    return _base64url(number.to_bytes((bits + 7) // 8, "big"))


def _mint(default_claims: JsonObject, wish: JsonObject) -> str:
    key, ttl = wish.get("key", MAIN), wish.get("ttl", TOKEN_SECONDS)
    claims, header = wish.get("claims", {}), wish.get("header", {})
    if not isinstance(key, str):
        raise RequestError('"key" must be the name of a key')
    if not isinstance(ttl, int):
        raise RequestError('"ttl" must be a whole number of seconds')
    if not isinstance(claims, dict) or not isinstance(header, dict):
        raise RequestError('"claims" and "header" must be JSON objects')
    now = int(time.time())
    times = {"iat": now, "nbf": now - 10, "exp": now + ttl}
    parts = (_default_header(key) | header, default_claims | times | claims)
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
    return {"alg": forgeries.get(key, _algorithm(key)), "kid": kid, "typ": "JWT"}


def _clerk_claims(issuer: str) -> JsonObject:
    """A session token's, version 2."""
    return {
        "azp": "http://localhost:3000",
        "fva": [0, -1],
        "iss": issuer,
        "jti": uuid.uuid4().hex,
        "sid": "sess_dev",
        "sts": "active",
        "sub": "user_dev",
        "v": 2,
    }


def _access_claims(issuer: str) -> JsonObject:
    """An application token's, for somebody who signed in."""
    return {
        "aud": ["standin-application"],
        "country": "NL",
        "email": "dev@example.com",
        "identity_nonce": uuid.uuid4().hex[:16],
        "iss": issuer,
        "sub": "user_dev",
        "type": "app",
    }


def _oidc_claims(issuer: str) -> JsonObject:
    """An access token's (RFC 9068), but for the type in its header."""
    return {
        "aud": "standin-api",
        "client_id": "standin-client",
        "iss": issuer,
        "jti": uuid.uuid4().hex,
        "scope": "standin:read standin:write",
        "sub": "user_dev",
    }


def _key_set(_issuer: str) -> JsonObject:
    return {"keys": [_keys.public_jwk(name) for name in (MAIN, "ES256", "EdDSA")]}


def _discovery(issuer: str) -> JsonObject:
    """OpenID Connect Discovery 1.0 §3: of its members those that are looked at."""
    return {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}


_CLAIMS: Mapping[str, Callable[[str], JsonObject]] = {
    "clerk": _clerk_claims,
    "access": _access_claims,
    "oidc": _oidc_claims,
}

_PUBLISHED: Mapping[str, Mapping[str, Callable[[str], JsonObject]]] = {
    "clerk": {".well-known/jwks.json": _key_set},
    "access": {"cdn-cgi/access/certs": _key_set},
    "oidc": {".well-known/openid-configuration": _discovery, "jwks": _key_set},
}
"""Where each issuer publishes what."""


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
