"""Addresses of a template repository that work on every machine, for git, Copier and Renovate.

The build loads this file by its path (hatch_build.py): standard library only.
"""

import re

_HOST = r"(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?)"
_USER = r"(?P<user>\w[\w.-]*)"
_PATH = r"(?P<path>[\w.~+-]+(?:/[\w.~+-]+)*)/*"
_HTTPS = re.compile(rf"(?:git\+)?https://(?:[^/?#\s]*@)?{_HOST}/+{_PATH}", re.ASCII)
_SSH = re.compile(rf"(?:git\+)?ssh://(?:{_USER}(?::[^/?#\s]*)?@)?{_HOST}/+{_PATH}", re.ASCII)
_SCP = re.compile(rf"{_USER}@(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*):{_PATH}", re.ASCII)


def public_address(url: str) -> str | None:
    """The form of a git URL that a project may record; None for one that only works here.

    Credentials are removed. `.git` is added where Copier recognizes a repository by nothing else.

    Examples:
        >>> public_address("https://me:secret@example.org/team/forge")
        'https://example.org/team/forge.git'
        >>> public_address("git@example.org:team/forge")
        'git@example.org:team/forge'
        >>> public_address("/home/me/forge")
    """
    if match := _HTTPS.fullmatch(url):
        return _with_suffix(f"https://{match['host']}/{match['path']}")
    if match := _SSH.fullmatch(url):
        user = f"{match['user']}@" if match["user"] else ""
        return _with_suffix(f"ssh://{user}{match['host']}/{match['path']}")
    if match := _SCP.fullmatch(url):
        address = f"{match['user']}@{match['host']}:{match['path']}"
        return address if match["user"] == "git" else _with_suffix(address)
    return None


def _with_suffix(address: str) -> str:
    return address if address.endswith(".git") else f"{address}.git"
