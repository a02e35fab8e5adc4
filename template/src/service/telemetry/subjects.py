"""Callers as telemetry knows them: told apart, and not told who they are.

A plain hash would not do: whoever has the list of an application's users hashes it and compares.
The hash is keyed (HMAC-SHA256), and the key is a secret of each deployment.
"""

import hmac

from pydantic import Field, SecretStr

from service.context import Context
from service.settings import Settings
from service.telemetry.events import SUBJECT, Hash, nobody

HASH_CHARS = 32
"""Hexadecimal digits: 128 bits, enough to tell any number of callers apart."""


class SubjectSettings(Settings):
    """The key. Without one no caller is told from another: an answer does not depend on it."""

    key: SecretStr | None = Field(alias="TELEMETRY_HASH_KEY", default=None)


def keyed(settings: SubjectSettings) -> Hash:
    """The hash with the settings' key."""
    if settings.key is None:
        return nobody
    key = settings.key.get_secret_value().encode()

    def digest(caller: str) -> str:
        message = caller.encode(errors="surrogatepass")
        return hmac.digest(key, message, "sha256").hex()[:HASH_CHARS]

    return digest


def subject(context: Context) -> Hash:
    return keyed(context.settings(SubjectSettings))


feature = (SUBJECT.by(subject),)
