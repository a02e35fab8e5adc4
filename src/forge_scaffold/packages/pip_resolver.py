"""pip's resolver for a platform that is not this one, asked many times in one process.

pip picks wheels for any platform it is told (`--platform`), but judges environment markers
(`; platform_machine == "x86_64"`) by the Python it runs on. On a server that drags greenlet into
SQLAlchemy and calls it blocked. Here pip is given the platform's marker values too.

Trees overlap: pip's finder keeps the index's pages for all questions, what is in a wheel is read
from its end, and what will be asked for is read ahead. pip's own configuration (index, credentials,
proxies, certificates, constraints) applies throughout.
"""

import importlib.metadata
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from email.parser import HeaderParser
from functools import cached_property
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

from pip._internal.commands.install import InstallCommand
from pip._internal.exceptions import MetadataInconsistent, PipError
from pip._internal.index.collector import LinkCollector
from pip._internal.metadata.importlib import Distribution
from pip._internal.models.target_python import TargetPython
from pip._internal.resolution.resolvelib.provider import PipProvider
from pip._vendor.packaging import markers
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name, parse_wheel_filename
from pip._vendor.resolvelib import BaseReporter, ResolutionImpossible
from pip._vendor.resolvelib import Resolver as Search

from forge_scaffold.packages.process import unheard
from forge_scaffold.packages.wheels import Content, UnreadableError, Wheels

# A resolution is given up after so many steps: packages pinned, and releases looked at.
STEPS = 5000

# As pip limits itself: it takes its first, bold way back for a tenth of them.
ROUNDS = 200_000

ONLY_WHEELS = "--only-binary=:all:"

# How many older releases are read ahead at most, where pip goes back through them.
AHEAD = 32


class UndecidedError(Exception):
    """A resolution that was given up; its text says after what."""


@dataclass(frozen=True)
class Pin:
    """A release that pip chose: which, from where, and what it requires (as in its metadata)."""

    name: str
    version: str
    link: Any
    requires: Sequence[str]


class Resolver:
    """pip, for one platform at a time.

    Args:
        job: `environment` and `server_environment` (marker values), `python` (such as "3.14"),
            `platforms` (wheel tags, the Worker's), `server` (wheel tags of a Linux server),
            `find_links` (a folder with wheels that the Worker's platform has besides the index),
            `cache` (a folder), `timeout` (of one connection, in s), `patience` (of one resolution,
            in s), `brief_patience` (of one that no verdict hangs on, in s); perhaps `constraints`
            (options of pip's).
    """

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.job = job
        self.environment: Any = dict(job["environment"])
        replaced: Any = markers
        replaced.default_environment = lambda: dict(self.environment)
        self.said = Listener()
        self._version = tuple(map(int, job["python"].split(".")))
        self._command = InstallCommand("install", "")
        settings, _ = self._command.parse_args(self._options(job["platforms"]))
        self._session = self._command._build_session(settings)  # noqa: SLF001
        scope = LinkCollector.create(self._session, settings).search_scope
        tags = self._target([*job["platforms"], *job["server"]]).get_unsorted_tags()
        self._pages = Pages(self._session, scope, tags)
        self._finders: dict[tuple[str, ...], Any] = {}
        self._hopes = Hopes(self)
        self.wheels = Wheels(self._session, Path(job["cache"]))

    def resolve(
        self, requirements: Sequence[str], platforms: Sequence[str], *, briefly: bool = False
    ) -> tuple[list[Pin], str]:
        """What would be installed; or nothing, and pip's words.

        Args:
            requirements: with extras, without markers.
            platforms: wheel tags, the best ones first.
            briefly: no verdict hangs on it: give up sooner.

        Raises:
            UndecidedError: it took longer than the job's patience, or too many steps.
            UnreadableError: a wheel could not be read.
        """
        self.read_ahead(requirements, platforms)
        limit = Limit(self.job["brief_patience" if briefly else "patience"])
        finder = self.finder(platforms, ONLY_WHEELS)
        settings, texts = self._command.parse_args(
            [*self._options(platforms), ONLY_WHEELS, *requirements]
        )
        worker = tuple(platforms) == tuple(self.job["platforms"])
        preparer: Any = Preparer(self, finder, limit, self._hopes if worker else None)
        made: Any = self._command.make_resolver(
            preparer, finder, settings, py_version_info=self._version
        )
        self.said.words.clear()
        try:
            roots = self._command.get_requirements(texts, settings, finder, self._session)
            return _searched(made.factory, roots, limit), ""
        except PipError as error:
            return [], "\n".join([*self.said.words, str(error)])

    def read_ahead(self, requirements: Iterable[str], platforms: Sequence[str]) -> None:
        """Have read, many at a time, what pip will most likely ask for one after the other."""
        finder = self.finder(platforms, ONLY_WHEELS)
        pages: dict[str, Future[Any]] = {}
        wheels: dict[Future[Content], tuple[Any, set[str]]] = {}
        seen: set[str] = set()
        pending = {text: canonicalize_name(Requirement(text).name) for text in requirements}
        while pending or wheels:
            seen |= pending.keys()
            for name in sorted(set(pending.values()) - pages.keys()):
                pages[name] = self.wheels.pool.submit(finder.find_all_candidates, name)
            wait([*map(pages.__getitem__, pending.values()), *wheels], None, FIRST_COMPLETED)
            for text in [text for text, name in pending.items() if pages[name].done()]:
                del pending[text]
                link, extras = _likely(finder, text)
                if link:
                    wheels.setdefault(self._started(link), (link, set()))[1].update(extras)
            for wheel in [wheel for wheel in wheels if wheel.done()]:
                link, extras = wheels.pop(wheel)
                with suppress(UnreadableError):
                    needed = self.applying(self.wheels.of(link).requires, extras)
                    pending |= {
                        str(one): canonicalize_name(one.name)
                        for one in needed
                        if str(one) not in seen
                    }

    def _started(self, link: Any) -> Future[Content]:  # noqa: ANN401
        """Have a wheel read, and with a stub the one that will be asked for its size."""
        for same in islice(self._of_same_release(link), 1) if self.is_stub(link) else ():
            self.wheels.start(same)
        return self.wheels.start(link)

    def applying(self, needed: Iterable[str], extras: Collection[str]) -> Iterator[Requirement]:
        """What of a package's requirements counts on the platform, without their markers."""
        for text in needed:
            try:
                one = Requirement(text)
            except InvalidRequirement:
                continue
            if one.marker is None or any(
                one.marker.evaluate({**self.environment, "extra": extra}) for extra in ("", *extras)
            ):
                one.marker = None
                yield one

    def is_stub(self, link: Any) -> bool:  # noqa: ANN401
        """Whether a file is one that stands for what Pyodide builds."""
        return link.is_file and Path(link.file_path).parent == Path(self.job["find_links"])

    def same_release(self, link: Any) -> Content | None:  # noqa: ANN401
        """What a wheel of the index's holds, of the release that a stub stands for."""
        for same in self._of_same_release(link):
            with suppress(UnreadableError):
                return self.wheels.of(same)
        return None

    def _of_same_release(self, link: Any) -> Iterator[Any]:  # noqa: ANN401
        """The index's wheels of the release that a stub stands for."""
        name, version, *_ = parse_wheel_filename(link.filename)
        finder = self.finder([*self.job["platforms"], *self.job["server"]])
        for candidate in finder.find_all_candidates(name):
            same = candidate.version == version and candidate.link.is_wheel
            if same and not self.is_stub(candidate.link):
                yield candidate.link

    def extras_of(self, link: Any) -> str:  # noqa: ANN401
        """The headers about extras of the release that a stub stands for."""
        content = self.same_release(link)
        metadata = HeaderParser().parsestr(content.metadata if content else "")
        extras = metadata.get_all("Provides-Extra", [])
        needs = [one for one in metadata.get_all("Requires-Dist", []) if "extra" in one]
        return "".join(
            [
                *(f"Provides-Extra: {extra}\n" for extra in extras),
                *(f"Requires-Dist: {' '.join(need.split())}\n" for need in needs),
            ]
        )

    def _options(self, platforms: Sequence[str]) -> list[str]:
        return [
            *(f"--platform={platform}" for platform in platforms),
            "--implementation=cp",
            f"--python-version={self.job['python']}",
            f"--find-links={self.job['find_links']}",
            f"--timeout={self.job['timeout']}",
            *self.job.get("constraints", ()),
            "--retries=1",
            "--no-input",
        ]

    def finder(self, platforms: Sequence[str], *options: str) -> Any:  # noqa: ANN401 - pip's own, untyped here
        """What finds the files of a package that fit these platforms; one for all questions."""
        key = (*platforms, *options)
        if key not in self._finders:
            settings, _ = self._command.parse_args([*self._options(platforms), *options])
            finder: Any = self._command._build_package_finder(  # noqa: SLF001
                settings, self._session, self._target(platforms), settings.ignore_requires_python
            )
            finder._link_collector = self._pages  # noqa: SLF001
            self._finders[key] = finder
        return self._finders[key]

    def _target(self, platforms: Sequence[str]) -> TargetPython:
        return TargetPython(
            platforms=list(platforms), py_version_info=self._version, implementation="cp"
        )


class Pages(LinkCollector):
    """The index's pages, each fetched and parsed once for all finders.

    Four of five files are wheels for other platforms and other Pythons. pip would take longer to
    set them aside than for all else.
    """

    def __init__(self, session: Any, search_scope: Any, tags: Iterable[Any]) -> None:  # noqa: ANN401
        super().__init__(session, search_scope)
        self._fetched: dict[str, Any] = {}
        self._parts = tuple(map(set, zip(*map(_parts, tags), strict=True)))

    def fetch_response(self, location: Any, package_name: str | None = None) -> Any:  # noqa: ANN401
        """One page, or None."""
        if location.url not in self._fetched:
            page = super().fetch_response(location, package_name)
            if page:
                page = replace(page, content=self._cut(page), cache_link_parsing=True)
            self._fetched[location.url] = page
        return self._fetched[location.url]

    def _cut(self, page: Any) -> bytes:  # noqa: ANN401
        """A JSON page with what may fit; any other as it is."""
        if not page.content_type.startswith("application/vnd.pypi.simple.v1+json"):
            return bytes(page.content)
        try:
            listed = json.loads(page.content)
            listed["files"] = [one for one in listed["files"] if self._may_fit(one["filename"])]
        except (ValueError, KeyError, TypeError, AttributeError):
            return bytes(page.content)  # pip has words for it
        return json.dumps(listed).encode()

    def _may_fit(self, filename: str) -> bool:
        """Whether each of a wheel's three tags is one that some platform has; or no wheel."""
        if not filename.endswith(".whl"):
            return True
        parts = filename.removesuffix(".whl").split("-")[-3:]
        return all(
            known.intersection(part.split("."))
            for known, part in zip(self._parts, parts, strict=False)
        )


def _parts(tag: Any) -> tuple[str, str, str]:  # noqa: ANN401
    return tag.interpreter, tag.abi, tag.platform


class Limit(BaseReporter[Any, Any, Any]):
    """Ends a resolution that has gone on for long: pip would try every older release of everything.

    Mostly by what was tried, which is the same on every machine; the seconds are for slow ones.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = monotonic() + seconds
        self._left = STEPS

    def step(self) -> None:
        """Count one.

        Raises:
            UndecidedError: that was one too many, or too late.
        """
        self._left -= 1
        if self._left < 0:
            raise UndecidedError(f"not decided within {STEPS} steps of the resolver")
        if monotonic() > self._end:
            raise UndecidedError(f"not decided within {self._seconds:.0f} s")

    def starting_round(self, index: int) -> None:  # noqa: ARG002 - resolvelib's
        """Each round counts."""
        self.step()


class Hopes:
    """Which releases could resolve on Workers: those whose needs could all be met there.

    Conflicts between the needs are not looked for, so that each release is looked at once for all
    questions: no is certain, yes is not.
    """

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._finder = resolver.finder(resolver.job["platforms"], ONLY_WHEELS)
        self._known: dict[tuple[str, frozenset[str]], bool] = {}

    def for_release(self, link: Any, extras: Collection[str], limit: Limit) -> bool:  # noqa: ANN401
        """Whether there is hope for this one.

        Raises:
            UndecidedError: enough releases were looked at.
        """
        key = (link.url_without_fragment, frozenset(extras))
        if key not in self._known:
            limit.step()
            self._known[key] = True  # meanwhile: it may need what needs itself
            try:
                needed = self._resolver.wheels.of(link).requires
            except UnreadableError:
                return True
            self._known[key] = all(
                self._for_requirement(one, limit) for one in self._resolver.applying(needed, extras)
            )
        return self._known[key]

    def _for_requirement(self, needed: Requirement, limit: Limit) -> bool:
        name = canonicalize_name(needed.name)
        best = self._finder.find_best_candidate(name, needed.specifier)
        links = [one.link for one in best.applicable_candidates]
        while links:
            link = links.pop()
            if self.for_release(link, needed.extras, limit):
                return True
            for older in links[-AHEAD:]:
                self._resolver.wheels.start(older)
        return False


class Preparer:
    """pip's preparer as far as its resolver needs it: it says what a wheel requires."""

    def __init__(
        self,
        resolver: Resolver,
        finder: Any,  # noqa: ANN401
        limit: Limit,
        hopes: Hopes | None,
    ) -> None:
        self._resolver = resolver
        self._wheels = resolver.wheels
        self._finder = finder
        self._limit = limit
        self._hopes = hopes
        self._tried: defaultdict[str, int] = defaultdict(int)

    def prepare_linked_requirement(self, req: Any, **_: object) -> Distribution:  # noqa: ANN401
        """A distribution with metadata, for one release that pip considers.

        Raises:
            MetadataInconsistent: pip need not consider it: there is no hope.
            UnreadableError: its wheel could not be read.
            UndecidedError: enough were considered.
        """
        self._limit.step()
        name = canonicalize_name(req.name)
        self._tried[name] += 1
        if self._tried[name] > 1:
            self._read_older(name, req.link, min(2 ** self._tried[name], AHEAD))
        content = self._wheels.of(req.link)
        if self._hopes and not self._hopes.for_release(req.link, (), self._limit):
            raise MetadataInconsistent(req, "Requires-Dist", "what could be had", "what cannot")
        headers = Headers(content.metadata)
        if self._resolver.is_stub(req.link):
            return BuiltDistribution(headers, lambda: self._resolver.extras_of(req.link))
        return KnownDistribution(headers)

    def _read_older(self, name: str, link: Any, count: int) -> None:  # noqa: ANN401
        """Where pip goes back through a package's releases, read those before it ahead."""
        links = [one.link for one in self._finder.find_best_candidate(name).applicable_candidates]
        if link in links:
            end = links.index(link)
            for older in links[max(end - count, 0) : end]:
                self._wheels.start(older)


class KnownDistribution(Distribution):
    """A distribution that parses its requirements once: pip asks for them at each step back."""

    def __init__(self, headers: "Headers") -> None:
        super().__init__(headers, None, None)
        self._needs: dict[frozenset[str], Sequence[Any]] = {}

    def iter_dependencies(self, extras: Collection[str] = ()) -> Iterable[Any]:
        """What it requires on the platform."""
        key = frozenset(extras)
        if key not in self._needs:
            self._needs[key] = tuple(super().iter_dependencies(extras))
        return self._needs[key]


class BuiltDistribution(KnownDistribution):
    """A package of Pyodide's own builds, whose list does not say what its extras need.

    The index's files of the same version do; they are looked at when an extra is asked for.
    """

    def __init__(self, headers: "Headers", extras: Callable[[], str]) -> None:
        super().__init__(headers)
        self._headers = headers
        self._extras: Callable[[], str] | None = extras

    def iter_provided_extras(self) -> Iterable[Any]:
        """The extras, as pip asks for them before their requirements."""
        if self._extras:
            self._headers.add(self._extras())
            self._extras = None
        return super().iter_provided_extras()


class Headers(importlib.metadata.Distribution):
    """A distribution that is known by its metadata alone."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def metadata(self) -> Any:  # noqa: ANN401
        """Its headers, parsed once."""
        return HeaderParser().parsestr(self._text)

    def add(self, headers: str) -> None:
        """Further headers."""
        self._text = f"{self._text.rstrip()}\n{headers}"
        self.__dict__.pop("metadata", None)

    def read_text(self, filename: str) -> str | None:
        """The text of METADATA; there is no other file."""
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> NoReturn:  # noqa: ANN401
        """It is nowhere."""
        raise FileNotFoundError(path)


class Listener(logging.Handler):
    """Hears what pip says: errors, and which index pages could not be had.

    pip takes a page that it could not have for an empty one.

    Attributes:
        words: the errors, in order.
        unheard: the servers that did not answer for some package.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.words: list[str] = []
        self.unheard: set[str] = set()
        pip = logging.getLogger("pip")
        pip.setLevel(logging.INFO)
        pip.propagate = False
        pip.addHandler(self)
        logging.getLogger("pip._internal.index.collector").setLevel(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the errors, and which servers gave no answer."""
        message = record.getMessage()
        if record.levelno >= logging.ERROR or "no matching distributions" in message:
            self.words.append(message)
        elif server := unheard(message):
            self.unheard.add(server)


def _searched(factory: Any, roots: Sequence[Any], limit: Limit) -> list[Pin]:  # noqa: ANN401
    """The search of pip's resolver, but with a limit, and with pins for a result."""
    collected = factory.collect_root_requirements(roots)
    provider = PipProvider(
        factory=factory,
        constraints=collected.constraints,
        ignore_dependencies=False,
        only_dependencies=False,
        upgrade_strategy="to-satisfy-only",
        user_requested=collected.user_requested,
    )
    try:
        found = Search(provider, limit).resolve(collected.requirements, max_rounds=ROUNDS)
    except ResolutionImpossible as error:
        raise factory.get_installation_error(error, collected.constraints) from error
    candidates: list[Any] = [
        one for one in found.mapping.values() if one.get_install_requirement() is not None
    ]
    return [
        Pin(
            one.project_name,
            str(one.version),
            one.source_link,
            one.dist.metadata.get_all("Requires-Dist", []),
        )
        for one in candidates
    ]


def _likely(finder: Any, text: str) -> tuple[Any, Collection[str]]:  # noqa: ANN401
    """The file that pip will most likely choose for a requirement, or None, and its extras."""
    wanted = Requirement(text)
    best = finder.find_best_candidate(canonicalize_name(wanted.name), wanted.specifier)
    return (best.best_candidate.link if best.best_candidate else None), wanted.extras
