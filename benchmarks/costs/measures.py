"""The measures. Each takes the Workers in turn, round by round, so that noise hits all of them."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException
from statistics import median
from time import perf_counter

from benchmarks.costs.processes import CommandError, progress, run
from benchmarks.costs.results import Figures, Results
from benchmarks.costs.workerd import (
    Client,
    Running,
    UnexpectedAnswerError,
    in_miniflare,
    restored,
    standins,
)
from benchmarks.costs.workers import Home, Worker

CLIENTS = 8
"""How many clients send the mixed requests."""
SAMPLES = 40
"""How often memory is read meanwhile."""
STREAMS = 5
"""How many streams of a kind are measured in a round."""
SHORT, LONG = 10, 510
"""Chunks of the two streams whose difference is the cost of a chunk."""


@dataclass(frozen=True)
class Effort:
    """How much is done for a figure."""

    rounds: int
    warm_up: int
    requests: int
    mixed: int


FULL = Effort(rounds=9, warm_up=100, requests=100, mixed=10_000)
QUICK = Effort(rounds=1, warm_up=5, requests=5, mixed=200)


@dataclass(frozen=True)
class Bench:
    """The Workers, and where their figures go."""

    workers: Mapping[str, Worker]
    home: Home
    effort: Effort
    results: Results

    def rounds(self, measure: str) -> Iterator[int]:
        """Count the rounds."""
        for number in range(1, self.effort.rounds + 1):
            progress(f"{measure}: round {number} of {self.effort.rounds}")
            yield number

    def each(self, *names: str) -> Iterator[tuple[Worker, Figures]]:
        """These Workers, with their figures."""
        for name in names:
            yield self.workers[name], self.results.workers.setdefault(name, Figures())

    def repeat(self, ask: Callable[[], float]) -> float:
        """The median of as many requests as the effort says."""
        return median(ask() for _ in range(self.effort.requests))


def cold(bench: Bench) -> None:
    """Cold starts from a snapshot."""
    names = MEASURES["cold"].workers
    for worker, figures in bench.each(*names):
        figures.snapshot_bytes = worker.snapshot.stat().st_size
    for _ in bench.rounds("cold start"):
        for worker, figures in bench.each(*names):
            with restored(worker, bench.home) as seconds:
                figures.cold_s.append(seconds)


def health(bench: Bench) -> None:
    """Warm health checks, of Workers that have their bindings."""
    with ExitStack() as stack:
        served = _served(bench, "health", stack)
        for running, _ in served:
            with running.client() as client:
                for _ in range(3 * bench.effort.warm_up):
                    client.ask("/healthz")
        for _ in bench.rounds("health"):
            for running, figures in served:
                with running.client() as client:
                    client.ask("/healthz")  # connects
                    figures.healthz_ms.append(bench.repeat(lambda: client.ask("/healthz")))


def upload(bench: Bench) -> None:
    """What `wrangler deploy` would upload."""
    wrangler = bench.home.folder / "node_modules" / "wrangler" / "bin" / "wrangler.js"
    deploy = (bench.home.node, wrangler, "deploy", "--dry-run", "--outdir", ".cache/dist")
    for worker, figures in bench.each(*MEASURES["upload"].workers):
        progress(f"upload: {worker.name}")
        printed = run(deploy, worker.folder)
        sizes = re.search(r"Total Upload: ([\d.]+) KiB / gzip: ([\d.]+) KiB", printed)
        if not sizes:
            raise CommandError(f"{worker.name}: wrangler names no size:\n{printed}")
        figures.upload_bytes, figures.gzip_bytes = (int(float(n) * 1024) for n in sizes.groups())


def chat(bench: Bench) -> None:
    """The first chat after a restore, those after it, and warm ones, with the stand-ins."""
    with standins(bench.home) as url:
        for _ in bench.rounds("first chat"):
            for worker, figures in bench.each(*MEASURES["chat"].workers):
                with (
                    in_miniflare(worker, bench.home, url) as running,
                    running.client() as client,
                ):
                    client.ask("/healthz")
                    figures.first_chat_ms.append(_chat(client))
                    figures.next_chat_ms.append(median(_chat(client) for _ in range(5)))
                    for _ in range(bench.effort.warm_up // 2):
                        _chat(client)
                    figures.warm_chat_ms.append(bench.repeat(lambda: _chat(client)))


def share(bench: Bench) -> None:
    """Warm chats and streams with a provider that answers at once, in the same process.

    What a Worker takes longer than the one written by hand, with the same provider and the same
    database, is its own share.
    """
    with ExitStack() as stack:
        served = _served(bench, "share", stack)
        for running, _ in served:
            with running.client() as client:
                for _ in range(2 * bench.effort.warm_up):
                    _chat(client)
                for _ in range(STREAMS):
                    _stream(client, LONG)
        for _ in bench.rounds("share"):
            for running, figures in served:
                with running.client() as client:  # workerd closes one that is idle for long
                    _share_of(bench, running, client, figures)


def _served(bench: Bench, measure: str, stack: ExitStack) -> list[tuple[Running, Figures]]:
    """A measure's Workers, all at once, with a provider that answers at once."""
    url = stack.enter_context(standins(bench.home))
    served = []
    for worker, figures in bench.each(*MEASURES[measure].workers):
        progress(f"{measure}: starting {worker.name}")
        running = stack.enter_context(in_miniflare(worker, bench.home, url, instant=True))
        served.append((running, figures))
    return served


def _share_of(bench: Bench, running: Running, client: Client, figures: Figures) -> None:
    _chat(client)  # connects
    before = running.cpu_seconds()
    figures.instant_chat_ms.append(bench.repeat(lambda: _chat(client)))
    spent = running.cpu_seconds() - before
    figures.instant_cpu_ms.append(spent * 1000 / bench.effort.requests)
    short = median(_stream(client, SHORT) for _ in range(STREAMS))
    long = median(_stream(client, LONG) for _ in range(STREAMS))
    figures.chunk_ms.append((long - short) / (LONG - SHORT))


def memory(bench: Bench) -> None:
    """The memory of workerd while clients chat, stream, leave, and ask for less."""
    with standins(bench.home) as url:
        for worker, figures in bench.each(*MEASURES["memory"].workers):
            with in_miniflare(worker, bench.home, url) as running:
                _load(worker, running, bench.effort.mixed, figures)


def tests(bench: Bench) -> None:
    """`npm test` of the default project, twice: the first run vendors and fills caches."""
    for worker, _ in bench.each("default"):
        for number in (1, 2):
            progress(f"npm test, run {number}")
            start = perf_counter()
            run(("npm", "test"), worker.folder)
            bench.results.tests_s.append(perf_counter() - start)


def _chat(client: Client) -> float:
    return client.ask("/v1/chat", _body("hello"))


def _stream(client: Client, chunks: int) -> float:
    return client.ask("/v1/chat", _body(f"stream {chunks}", stream=True))


def _body(content: str, **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": content}], **more}


def _load(worker: Worker, running: Running, total: int, figures: Figures) -> None:
    """Send mixed requests by several clients at once, and read the memory again and again."""
    mix = random.Random(0)  # noqa: S311 - the same requests in every run
    kinds = mix.choices((_chat, _stream_words, _health, _leave), weights=(4, 3, 2, 1), k=total)
    share = total // SAMPLES
    figures.memory_mib = [(0, running.memory_mib())]
    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in range(0, total, share):
            if done % (10 * share) == 0:
                progress(f"memory: {worker.name}, {done} of {total} requests")
            # A client each: what it leaves behind is its own.
            parts = [kinds[done : done + share][offset::CLIENTS] for offset in range(CLIENTS)]
            figures.mixed_failed += sum(pool.map(lambda part: _send(running, part), parts))
            figures.memory_mib.append((done + share, running.memory_mib()))


def _send(running: Running, kinds: list[Callable[[Client], object]]) -> int:
    """Send requests of these kinds.

    Returns:
        How many failed: a Worker that loses one now and then still shows how its memory grows.
    """
    failed = 0
    with running.client() as client:
        for kind in kinds:
            try:
                kind(client)
            except (UnexpectedAnswerError, OSError, HTTPException) as error:
                progress(f"memory: {error}")
                client.close()  # http.client connects again for the next request
                failed += 1
    return failed


def _health(client: Client) -> float:
    return client.ask("/healthz")


def _stream_words(client: Client) -> float:
    return client.ask("/v1/chat", _body("some words to be streamed one by one", stream=True))


def _leave(client: Client) -> None:
    """Hang up in the middle of a stream.

    It would end by itself: a Worker that does not notice would drown in streams without an end.
    """
    response = client.send("/v1/chat", _body("word " * LONG, stream=True))
    try:
        response.read1()
        response.read1()
    except HTTPException:
        pass
    client.close()  # http.client connects again for the next request


@dataclass(frozen=True)
class Measure:
    """What is measured of which Workers."""

    take: Callable[[Bench], None]
    workers: tuple[str, ...]


DEPLOYED = (
    "hello",
    "pydantic",
    "minimal-packages",
    "minimal",
    "default",
    "full-packages",
    "full",
    "fastapi",
    "sqlalchemy",
)
CHATTING = ("by-hand", "by-hand-all", "minimal", "default", "full")

MEASURES: Mapping[str, Measure] = {
    "cold": Measure(cold, DEPLOYED),
    "health": Measure(health, (*DEPLOYED, "by-hand-all")),
    "upload": Measure(upload, DEPLOYED),
    "chat": Measure(chat, (*CHATTING, "fastapi", "sqlalchemy")),
    "share": Measure(share, CHATTING),
    "memory": Measure(memory, ("default", "full", "fastapi", "by-hand")),
    "tests": Measure(tests, ("default",)),
}
