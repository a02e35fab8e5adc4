"""Tokens that are no longer good though their signature is: `npm run revoke` takes them back.

By a token's own id, or by its session's, which ends all the tokens of one login.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Protocol

from pydantic import Field

from service.auth import TOKEN_CHECKS, Principal, Unauthorized
from service.auth.jwt import Claims
from service.context import Context, Slot
from service.log import log, where
from service.settings import Settings
from service.web import Unavailable

TIMEOUT_SECONDS = 2.0

TOKEN, SESSION = "jti", "sid"  # scripts/revoke.mjs writes the same

ID_CLAIMS = {
    "jti": TOKEN,  # RFC 7519, section 4.1.7
    "uti": TOKEN,  # Microsoft Entra's
    "sid": SESSION,  # OpenID Connect Front-Channel Logout, section 3; Clerk's
    "identity_nonce": SESSION,  # Cloudflare Access's
}
"""What issuers call the two ids."""


class RevocationSettings(Settings):
    """What happens where nobody can tell whether a token was revoked: by default a 503."""

    fail_open: bool = Field(alias="REVOCATION_FAIL_OPEN", default=False)


class RevocationUnavailable(Unavailable):
    """Nobody can tell whether the token was revoked."""

    answer = "Tokens cannot be verified at the moment."


class Store(Protocol):
    """Where revoked ids are."""

    async def holds(self, keys: Sequence[str]) -> bool:
        """Whether at least one of the keys is there; raises any Exception where that is unknown."""


STORE = Slot[Store]()


class Revocation:
    """Asks the store of each token; `timeout` is in seconds."""

    def __init__(
        self, settings: RevocationSettings, store: Store, timeout: float = TIMEOUT_SECONDS
    ) -> None:
        self._fail_open = settings.fail_open
        self._store = store
        self._timeout = timeout

    async def check(self, claims: Claims) -> None:
        """Pass a verified token that was not revoked.

        Raises Unauthorized for one that was; RevocationUnavailable where the store has no answer.
        """
        keys = revocation_keys(claims)
        if not keys:
            # Whoever switches revocation on counts on it: this token could never be taken back.
            raise Unauthorized("the token has no id to revoke it by", "invalid_token")
        if await self._is_revoked(keys):
            raise Unauthorized("the token was revoked", "invalid_token")

    async def _is_revoked(self, keys: Sequence[str]) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._store.holds(keys)
        except Exception as error:
            if not self._fail_open:
                raise RevocationUnavailable("the revocation store has no answer") from error
            log("error", "revocation_failed", error=type(error).__name__, where=where(error))
            return False


def revocation(context: Context) -> Revocation:
    return Revocation(context.settings(RevocationSettings), context.require(STORE))


def check(context: Context) -> Callable[[Principal], Awaitable[None]]:
    return lambda principal: context.get(revocation).check(principal.claims)


feature = (TOKEN_CHECKS.by(check),)


def revocation_keys(claims: Claims) -> list[str]:
    """The keys under which a token with these claims is revoked; none where it has no id."""
    ids = [(kind, claims.others.get(name)) for name, kind in ID_CLAIMS.items()]
    return [key(kind, value) for kind, value in ids if isinstance(value, str) and value]


def key(kind: str, value: str) -> str:
    """An id as the store knows it: hashed, for a key's length and characters are limited."""
    return f"{kind}:{sha256(value.encode(errors='surrogatepass')).hexdigest()}"
