"""Verification of signed JSON Web Tokens: RFC 7515 and 7519, with RFC 8725's advice.

Pure: token, keys, expectations, the time and the cryptography are arguments, and nothing is kept.
`examine` finds all that can be wrong without a key, `verify` the rest; only what `verify` returns
is to be believed. What no verifier should be asked to do is refused rather than ignored: tokens
that bring their own key, and extensions that change what the signature covers.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Never, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from service.auth.algorithms import Key, decode_base64url, is_signature
from service.runtime import VerifySignature

MAX_TOKEN_LENGTH = 8192
MAX_KEYS_TRIED = 32
LEEWAY_SECONDS = 5.0

NumericDate = Annotated[float, Field(ge=0, le=253_402_300_799, allow_inf_nan=False)]
"""Seconds since the epoch (RFC 7519, section 2), up to the year 9999."""


class InvalidToken(Exception):
    """The token is not to be believed. The message says why, and holds nothing of the token."""


class WrongSignature(InvalidToken):
    """None of the keys that the token could mean has verified it."""


@dataclass(frozen=True)
class Expectations:
    """What a token has to say. Of the `audiences`, it has to name one; `leeway` is in seconds.

    `algorithms` come from here and never from the token (RFC 8725, section 3.1); `types` are of
    the header's "typ", in lower case, which a token may lack.
    """

    issuer: str
    audiences: frozenset[str] = frozenset()
    authorized_parties: frozenset[str] | None = None
    algorithms: frozenset[str] = frozenset({"RS256"})
    types: frozenset[str] = frozenset({"jwt"})
    leeway: float = LEEWAY_SECONDS


class Claims(BaseModel):
    """The claims that are checked here (RFC 7519, section 4.1); `model_extra` has the others."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", hide_input_in_errors=True)

    iss: str
    exp: NumericDate
    nbf: NumericDate = 0
    iat: NumericDate = 0
    sub: str = ""
    aud: str | tuple[str, ...] = ()
    azp: str = ""

    @property
    def others(self) -> Mapping[str, object]:
        """The claims that are not checked here."""
        return self.model_extra or {}


class Header(BaseModel):
    """The header (RFC 7515, section 4.1); an empty `kid` names no key."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow", hide_input_in_errors=True)

    alg: str
    kid: str = ""
    typ: str = "JWT"

    @property
    def type(self) -> str:
        """In lower case, and without the prefix that it may have (RFC 7515, section 4.1.9)."""
        return self.typ.lower().removeprefix("application/")

    @property
    def others(self) -> Mapping[str, object]:
        """The parameters that are not checked here."""
        return self.model_extra or {}


@dataclass(frozen=True)
class Unverified:
    """A token that says what it should. Anybody could have written it."""

    header: Header
    claims: Claims
    signed: bytes
    signature: bytes

    @property
    def algorithm(self) -> str:
        return self.header.alg

    @property
    def kid(self) -> str:
        return self.header.kid


def examine(token: str, expected: Expectations, now: float) -> Unverified:
    """Take a compact JWS apart and check all but its signature; `now` is in epoch seconds.

    Raises InvalidToken.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidToken("the token is too long")
    if token.count(".") != 2:
        raise InvalidToken("the token does not have three parts")
    try:
        header_json, claims_json, signature = map(decode_base64url, token.split("."))
    except ValueError:
        raise InvalidToken("a part of the token is not base64url") from None
    header = _parse(Header, header_json)
    _check_header(header, expected)
    if not is_signature(signature, header.alg):
        raise InvalidToken("the token's signature is not one of its algorithm's")
    claims = _parse(Claims, claims_json)
    _check_claims(claims, expected, now)
    return Unverified(
        header=header,
        claims=claims,
        signed=token.rpartition(".")[0].encode(),
        signature=signature,
    )


def peek(token: str) -> Claims | None:
    """What a token says, unchecked: for choosing among tokens or issuers, not to be believed."""
    if len(token) > MAX_TOKEN_LENGTH or token.count(".") != 2:
        return None
    try:
        return Claims.model_validate_json(decode_base64url(token.split(".")[1]))
    except ValueError:
        return None


async def verify(
    token: Unverified, keys: Iterable[Key], verify_signature: VerifySignature
) -> Claims:
    """The token's claims, once one of `keys` has verified its signature.

    A token that names no key is tried against all, unless these are many: each costs time, and
    anybody can write such a token. Raises InvalidToken.
    """
    fitting = [
        key for key in keys if key.algorithm == token.algorithm and token.kid in ("", key.kid)
    ]
    if not fitting:
        raise InvalidToken("the token's key is not one of the issuer's")
    if len(fitting) > MAX_KEYS_TRIED:
        raise InvalidToken("the token does not name its key, and the issuer has many")
    for key in fitting:
        try:
            if await verify_signature(key.algorithm, key.jwk, token.signature, token.signed):
                return token.claims
        except ValueError:
            # What only the cryptography finds wrong with a key makes it a key that fits nothing.
            continue
    raise WrongSignature("the token's signature is wrong")


_REFUSED_PARAMETERS = frozenset({"crit", "b64", "jwk", "jku", "x5c", "x5u"})
"""Extensions that must be understood, of which none is, and keys that the token itself brings."""


def _check_header(header: Header, expected: Expectations) -> None:
    if header.alg not in expected.algorithms:
        raise InvalidToken("the token's algorithm is not accepted")
    # Another type is a token for another purpose (RFC 8725, section 3.11).
    if header.type not in expected.types:
        raise InvalidToken("the token is of another type")
    if header.model_fields_set & _REFUSED_PARAMETERS:
        raise InvalidToken("the token's header has a parameter that is not accepted")


def _check_claims(claims: Claims, expected: Expectations, now: float) -> None:
    audiences = (claims.aud,) if isinstance(claims.aud, str) else claims.aud
    parties = expected.authorized_parties
    if claims.iss != expected.issuer:
        raise InvalidToken("the token is from another issuer")
    if now >= claims.exp + expected.leeway:
        raise InvalidToken("the token has expired")
    if now + expected.leeway < max(claims.nbf, claims.iat):
        raise InvalidToken("the token is not valid yet")
    # A token with an audience is refused by all who are not in it (RFC 7519, section 4.1.3).
    if (expected.audiences or audiences) and expected.audiences.isdisjoint(audiences):
        raise InvalidToken("the token is for another audience")
    if parties is not None and claims.azp not in parties:
        raise InvalidToken("the token was made for another party")
    # A stolen one would do as well as its owner's, were the key not asked for (RFC 7800; RFC 9449,
    # section 7.2; RFC 8705, section 3).
    if "cnf" in claims.others:
        raise InvalidToken("the token is bound to a key, and so not a bearer token")


Part = TypeVar("Part", Header, Claims)


def _parse(model: type[Part], data: bytes) -> Part:
    try:
        # pydantic refuses deep nesting, bad UTF-8 and lone surrogates; json is left with the rest.
        part = model.model_validate_json(data)
        json.loads(
            data.decode(),
            object_pairs_hook=_refuse_duplicates,
            parse_constant=_refuse_constant,
            parse_float=_refuse_infinity,
        )
    except ValueError:
        raise InvalidToken("the token's header or claims are malformed") from None
    return part


def _refuse_duplicates(members: list[tuple[str, object]]) -> None:
    if len(dict(members)) < len(members):
        raise ValueError("a member stands twice")


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not JSON")


def _refuse_infinity(number: str) -> None:
    if not isfinite(float(number)):
        raise ValueError("a number is out of range")
