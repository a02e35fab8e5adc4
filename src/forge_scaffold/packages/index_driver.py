"""A program of its own that asks pip's index: a job on stdin, a line of JSON for each package.

`pip index versions` says the same words for a package without a wheel and for a server without an
answer; here these are told apart, and one start of pip does for all packages. pip's own
configuration (index, credentials, proxies, certificates) applies.
"""

import json
import logging
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from optparse import Values
from typing import Any

from pip._internal.commands.index import IndexCommand
from pip._internal.models.target_python import TargetPython

from forge_scaffold.packages.process import unheard

AT_ONCE = 4


class Trouble(logging.Handler):
    """Remembers the threads that did not get a page: pip takes it for an empty one."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.threads: set[int] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Of what pip says only this."""
        if unheard(record.getMessage()):
            self.threads.add(threading.get_ident())


class Asker:
    """pip's view of the index.

    Args:
        job: `python` (such as "3.14"), `platform` (a wheel's tag), `timeout` (of one connection, in
            s).
    """

    def __init__(self, job: Mapping[str, Any], trouble: Trouble) -> None:
        self.trouble = trouble
        self.command = IndexCommand("index", "")
        timeout = f"--timeout={job['timeout']}"
        common = [timeout, "--retries=1", "--no-input", "--disable-pip-version-check"]
        self.options, _ = self.command.parse_args([*common, "versions", "."])
        self.session = self.command._build_session(self.options)  # noqa: SLF001
        python = tuple(map(int, job["python"].split(".")))
        self.anywhere = TargetPython(py_version_info=python)
        self.worker = TargetPython(
            platforms=[job["platform"]], py_version_info=python, implementation="cp"
        )
        wheels, _ = self.command.parse_args([*common, "--only-binary=:all:", "versions", "."])
        self.wheels = wheels

    def releases(self, name: str) -> dict[str, Any]:
        """`name`, and newest first `anywhere` and `in_worker`; or only the name: no answer."""
        self.trouble.threads.discard(threading.get_ident())
        # A release for another Python counts as one that is there, and does not run.
        anywhere = self._versions(name, self.options, self.anywhere, any_python=True)
        in_worker = self._versions(name, self.wheels, self.worker, any_python=False)
        if threading.get_ident() in self.trouble.threads:
            return {"name": name}
        return {"name": name, "anywhere": anywhere, "in_worker": in_worker}

    def _versions(
        self,
        name: str,
        options: Values,
        target: TargetPython,
        *,
        any_python: bool,
    ) -> list[str]:
        finder = self.command._build_package_finder(options, self.session, target, any_python)  # noqa: SLF001
        usable = {
            candidate.version
            for candidate in finder.find_all_candidates(name)
            if not candidate.version.is_prerelease and not candidate.link.is_yanked
        }
        return [str(version) for version in sorted(usable, reverse=True)]


def main() -> None:
    """Do the job on stdin: `{"names": [...], "python": ..., "platform": ..., "timeout": ...}`."""
    job = json.loads(sys.stdin.readline())
    trouble = Trouble()
    collector = logging.getLogger("pip._internal.index.collector")
    collector.setLevel(logging.DEBUG)
    collector.addHandler(trouble)
    asker = Asker(job, trouble)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for releases in pool.map(asker.releases, job["names"]):
            print(json.dumps(releases), flush=True)


if __name__ == "__main__":
    main()
