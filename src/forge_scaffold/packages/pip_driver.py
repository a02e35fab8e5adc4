"""A program of its own that asks pip what resolves for another platform: JSON lines in and out."""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

from forge_scaffold.packages.pip_resolver import ONLY_WHEELS, Pin, Resolver, UndecidedError
from forge_scaffold.packages.wheels import UnreadableError


def probe(resolver: Resolver, requirement: str) -> dict[str, Any]:
    """Whether the newest release of one requirement resolves, what blocks it, what else would do.

    Returns:
        `newest`; `ready`: its packages, or None; `wanted`: the packages that the newest would
        bring if all wheels existed; `blockers`; `older`: the packages of the newest release that
        does resolve, if one of this or the last major version does, or None; `undecided`: why that
        was not found out, or empty; `said`: pip's words, when nothing resolves at all.

    Raises:
        UndecidedError, UnreadableError: not even the newest release could be decided on.
    """
    job = resolver.job
    wanted = Requirement(requirement)
    extras = f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""
    everything = [*job["platforms"], *job["server"]]
    found: dict[str, Any] = {"newest": None, "ready": None, "wanted": None, "older": None}
    found |= {"blockers": [], "said": "", "undecided": ""}
    newest = best_version(resolver, wanted, everything, "--ignore-requires-python")
    if newest is None:
        return found | {"said": f"no release of {wanted.name} fits {wanted.specifier or 'at all'}"}
    found["newest"] = str(newest)
    pinned = f"{wanted.name}{extras}=={newest}"
    said = ""
    if newest == best_version(resolver, wanted, everything):
        kind = "ready"
        generous, said = resolver.resolve([pinned], everything)
        if not generous:  # nor could a server: its parts are not all there, or it is source only
            kind, pinned = "older", requirement
            generous, _ = resolver.resolve([pinned], everything)
            found["blockers"] = list(_told(said))
        packages = described(resolver, generous, [pinned])
        if packages and not any(package["native"] for package in packages):
            return found | {kind: packages}
        found["wanted"] = packages or None
        blockers, there = _judged(resolver, generous, packages)
        if packages and not blockers:
            for pins in (there, []):
                if fitting := resolver.resolve([pinned, *pins], job["platforms"])[0]:
                    return found | {kind: described(resolver, fitting, [pinned])}
        found["blockers"] = blockers or found["blockers"]
    else:
        why = f"{newest} does not admit Python {job['python']}"
        found["blockers"] = [{"name": canonicalize_name(wanted.name), "why": why}]
    older: list[Pin] = []
    older_said = ""
    try:
        older, older_said = _older(resolver, wanted, extras, newest)
    except (UndecidedError, UnreadableError) as error:
        found["undecided"] = str(error)
    found["older"] = described(resolver, older, [requirement]) if older else None
    found["blockers"] = found["blockers"] or list(_told(said)) or list(_told(older_said))
    return found | {"said": said or older_said}


def best_version(
    resolver: Resolver, wanted: Requirement, platforms: Sequence[str], *options: str
) -> Any:  # noqa: ANN401
    """The newest version that a requirement admits and these platforms can take; None: none."""
    finder = resolver.finder(platforms, *options)
    name = canonicalize_name(wanted.name)
    best = finder.find_best_candidate(name, wanted.specifier).best_candidate
    return best.version if best else None


def _older(
    resolver: Resolver,
    wanted: Requirement,
    extras: str,
    newest: Any,  # noqa: ANN401
) -> tuple[list[Pin], str]:
    """The newest release that does resolve, back to the last major version or to what is there."""
    platforms = resolver.job["platforms"]
    there = best_version(resolver, wanted, platforms, ONLY_WHEELS)
    if there is None:
        return [], f"Could not find a version that satisfies the requirement {wanted.name}"
    least = SpecifierSet(f">={max(min(newest.major - 1, there.major), 0)}")
    requirement = f"{wanted.name}{extras}{wanted.specifier & least}"
    return resolver.resolve([requirement], platforms, briefly=True)


def whole(resolver: Resolver, requirements: Sequence[str], *, server: bool) -> dict[str, Any]:
    """All requirements together: `packages`, or None and pip's words in `said`."""
    platforms = resolver.job["server"] if server else resolver.job["platforms"]
    try:
        pins, said = resolver.resolve(requirements, platforms, briefly=True)
    except UndecidedError as error:
        return {"packages": None, "said": str(error)}
    packages = described(resolver, pins, requirements) if pins else None
    return {"packages": packages, "said": said}


def _judged(
    resolver: Resolver, pins: Sequence[Pin], packages: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, str]], list[str]]:
    """The compiled packages of a tree: those that block it, and requirements for the others.

    One blocks when no release that its parents admit has a wheel for the platform.
    """
    finder = resolver.finder(resolver.job["platforms"], ONLY_WHEELS)
    admitted: defaultdict[str, SpecifierSet] = defaultdict(SpecifierSet)
    for pin in pins:
        for needed in resolver.applying(pin.requires, ()):
            admitted[canonicalize_name(needed.name)] &= needed.specifier
    blockers, there = [], []
    for name in (package["name"] for package in packages if package["native"]):
        best = finder.find_best_candidate(name, admitted[name]).best_candidate
        if best is None:
            why = "compiled, and no wheel for WebAssembly"
            blockers.append({"name": name, "why": why})
        else:
            there.append(f"{name}=={best.version}")
    return blockers, there


UNSATISFIED = re.compile(
    r"Could not find a version that satisfies the requirement ([A-Za-z0-9][\w.-]*)[^\n]*"
)
MISSING = re.compile(
    r"no matching distributions available for your environment:\s+((?:\S+\n?\s*)+)"
)


def _told(said: str) -> Iterator[dict[str, str]]:
    """The packages that pip's words call missing."""
    names = [*UNSATISFIED.findall(said), *(MISSING.findall(said + "\n") or [""])[0].split()]
    for name in dict.fromkeys(map(canonicalize_name, names)):
        yield {"name": name, "why": "no wheel that Python there could install"}


def described(
    resolver: Resolver, pins: Sequence[Pin], requirements: Sequence[str]
) -> list[dict[str, Any]]:
    """The pins as the audit wants them, with sizes in bytes; raw and gzip None if unknown."""
    needs = _needs(resolver, pins, requirements)
    return [
        {
            "name": pin.name,
            "version": pin.version,
            "from_pyodide": resolver.is_stub(pin.link),
            "native": not pin.link.filename.endswith(
                ("-any.whl", *(f"-{platform}.whl" for platform in resolver.job["platforms"]))
            ),
            "needs": needs[pin.name],
            **_content(resolver, pin),
        }
        for pin in pins
    ]


def _content(resolver: Resolver, pin: Pin) -> dict[str, Any]:
    if resolver.is_stub(pin.link):
        return _estimated(resolver, pin)
    content = resolver.wheels.of(pin.link)
    sizes = {"raw": content.raw, "gzip": content.gzip, "estimated": False}
    return {**sizes, "modules": content.modules}


def _estimated(resolver: Resolver, pin: Pin) -> dict[str, Any]:
    """About the sizes of what Pyodide builds, from the index's wheel of the same release."""
    content = resolver.same_release(pin.link)
    if content is None:
        return {"raw": None, "gzip": None, "estimated": False, "modules": []}
    raw = content.raw - content.left_out
    gzip = content.gzip * raw // max(content.raw, 1)
    return {"raw": raw, "gzip": gzip, "estimated": True, "modules": []}


def _needs(
    resolver: Resolver, pins: Sequence[Pin], requirements: Sequence[str]
) -> dict[str, list[str]]:
    """Who needs whom in a tree, under the platform's markers and the extras asked for."""
    requires = {pin.name: pin.requires for pin in pins}
    needs: dict[str, list[str]] = {name: [] for name in requires}
    seen: set[tuple[str, frozenset[str]]] = set()
    pending = [Requirement(text) for text in requirements]
    while pending:
        parent = pending.pop()
        name = canonicalize_name(parent.name)
        state = (name, frozenset(parent.extras))
        if name not in requires or state in seen:
            continue
        seen.add(state)
        for child in resolver.applying(requires[name], parent.extras):
            child_name = canonicalize_name(child.name)
            if child_name in requires:
                if child_name not in needs[name]:
                    needs[name].append(child_name)
                pending.append(child)
    return needs


def main() -> None:
    """Answer each question: a line with a JSON object on stdin, and one on stdout.

    The first line is the job. A question has `do`: "read-ahead", "probe", "server" or "worker", and
    `requirements`. Its answer has what probe or whole found, or a `failure`; and the `unreachable`
    servers.
    """
    resolver = Resolver(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = answered(resolver, question["do"], question["requirements"])
        except UndecidedError as error:
            answer = {"failure": str(error), "undecided": True}
        except UnreadableError as error:
            answer = {"failure": str(error)}
        resolver.wheels.kept.write()
        print(json.dumps({**answer, "unreachable": sorted(resolver.said.unheard)}), flush=True)
    resolver.wheels.pool.shutdown(wait=False, cancel_futures=True)


def answered(resolver: Resolver, what: str, requirements: Sequence[str]) -> dict[str, Any]:
    """The answer to one question."""
    job = resolver.job
    server = what == "server"
    resolver.environment = job["server_environment" if server else "environment"]
    if what == "read-ahead":
        resolver.read_ahead(requirements, [*job["platforms"], *job["server"]])
        return {}
    if what == "probe":
        return probe(resolver, requirements[0])
    return whole(resolver, requirements, server=server)


if __name__ == "__main__":
    main()
