"""Who is calling: what every identity service comes down to for the rest of the Worker."""

from dataclasses import dataclass

from service.auth.jwt import Claims


@dataclass(frozen=True)
class Principal:
    """A caller whose token was verified; `subject`, never empty, is the issuer's name for them."""

    subject: str
    claims: Claims


class Unauthorized(Exception):
    """The request has no valid credentials: a 401.

    The message may be shown. `error` is RFC 6750's code, None where there were no credentials.
    """

    def __init__(self, description: str, error: str | None = None) -> None:
        super().__init__(description)
        self.error = error

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate header's value (RFC 6750, section 3)."""
        challenge = 'Bearer realm="api"'
        if self.error:
            challenge += f', error="{self.error}", error_description="{self}"'
        return challenge
