"""Words: whether some code has one, for rules that would rather miss than be wrong, and lists."""

import re
from collections.abc import Sequence

from forge_scaffold.project import Project

_CODE = frozenset({".py", ".js", ".mjs", ".ts", ".tsx"})

SECRET_NAME = re.compile(
    r"(?:^|_)(?:SECRET|TOKEN|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?"
    r"|(?:API|ACCESS|SECRET|PRIVATE|ENCRYPTION|SIGNING|SERVICE_ROLE|AUTH)_?KEY)$"
)

# How many names a message lists.
_LISTED = 6


def shortened(names: Sequence[str]) -> str:
    """Names for a message, the last of many only counted."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def mentioned(word: str, project: Project) -> bool:
    """Whether the project's code has a word, in any case: the Worker's first, then all other."""
    # Much faster to look for than the pattern, and in few texts.
    forms = {word, word.lower(), word.upper()}
    pattern = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])", re.IGNORECASE)
    texts = (module.text.content for module in project.modules)
    if any(pattern.search(text) for text in texts if any(form in text for form in forms)):
        return True
    parsed = {module.path for module in project.modules}
    others = (path for path in project.files if path.suffix in _CODE and path not in parsed)
    return any(pattern.search(project.shown(path)) for path in others)


# What says in its name that everybody may have it.
PUBLIC_NAME = re.compile(r"(?:^|_)(?:PUBLIC|PUBLISHABLE|ANON|SITE)_?(?:$|_|KEY|TOKEN)")


def is_secret(name: str) -> bool:
    """Whether a variable is called what secrets are called, in any case."""
    shouted = name.upper()
    return SECRET_NAME.search(shouted) is not None and not PUBLIC_NAME.search(shouted)
