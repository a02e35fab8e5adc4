"""An issuer's tokens: what all identity services have in common."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from service.auth import Principal, Unauthorized
from service.auth.algorithms import ALGORITHMS
from service.auth.jwt import (
    Claims,
    Expectations,
    InvalidToken,
    Unverified,
    WrongSignature,
    examine,
    verify,
)
from service.auth.keys import KeySet
from service.runtime import VerifySignature
from service.settings import split


def _algorithm(name: str) -> str:
    if name not in ALGORITHMS:
        raise ValueError(f"needs names out of {', '.join(ALGORITHMS)}, separated by commas")
    return name


Algorithms = Annotated[
    frozenset[Annotated[str, AfterValidator(_algorithm)]],
    BeforeValidator(split),
    Field(min_length=1),
]
"""The algorithms that an issuer may sign with (RFC 8725, section 3.1)."""


class Tokens:
    """Verifies the tokens of one issuer; one serves all requests of the isolate."""

    def __init__(
        self,
        expected: Expectations,
        keys: KeySet,
        verify_signature: VerifySignature,
        clock: Callable[[], float],
    ) -> None:
        self._expected = expected
        self._keys = keys
        self._verify_signature = verify_signature
        self._clock = clock

    async def principal(self, token: str, subject: Callable[[Claims], str]) -> Principal:
        """Whose token it is; `subject` tells that by its claims, and may raise InvalidToken.

        Raises Unauthorized, or KeysUnavailable where nobody can tell.
        """
        try:
            unverified = examine(token, self._expected, self._clock())
            name = _not_empty(subject(unverified.claims))
            claims = await self._verified(unverified)
        except InvalidToken as error:
            raise Unauthorized(str(error), "invalid_token") from error
        return Principal(name, claims)

    async def _verified(self, token: Unverified) -> Claims:
        keys = await self._keys.find(token.kid)
        try:
            return await verify(token, keys.called(token.kid), self._verify_signature)
        except WrongSignature:
            # Some issuers put another key under a name that is known.
            newer = await self._keys.newer(keys)
            if newer.called(token.kid) == keys.called(token.kid):
                raise
            return await verify(token, newer.called(token.kid), self._verify_signature)


def _not_empty(subject: str) -> str:
    if not subject:
        raise InvalidToken("the token has no subject")
    return subject
