"""The documentation as a site."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copytree
from threading import Thread

import pytest
from markdown_it import MarkdownIt

from forge_scaffold.checks import RULES
from tests.browser import Browser, browser
from tests.support import REPOSITORY, alone, shared_folder, write

DOCS = REPOSITORY / "docs"
CONFIGURATION = (REPOSITORY / "zensical.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    folder = shared_folder(tmp_path_factory, worker_id, "site")
    with alone(folder / "lock"):
        if not (folder / "docs").exists():
            copytree(DOCS, folder / "docs")
            run = build(folder)
            assert run.returncode == 0, run.stdout
    return folder / "site"


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of the folder's docs/ into its site/."""
    write(folder, {"zensical.toml": CONFIGURATION})
    return subprocess.run(
        [sys.executable, "-m", "zensical", "build"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )


def address(page: Path) -> str:
    """Where the site has a page of docs/."""
    path = page.relative_to(DOCS)
    return "" if path.name == "README.md" else f"{path.with_suffix('').as_posix()}/"


PAGES = {address(page): page for page in sorted(DOCS.rglob("*.md"))}


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("nowhere.md", "page does not exist"),
        ("tutorials/page.md#nowhere", "anchor does not exist"),
    ],
)
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path, link: str, problem: str) -> None:
    home = f"# Home\n\n[link]({link})\n\n- [Page](tutorials/page.md)\n"
    write(tmp_path, {"docs/README.md": home, "docs/tutorials/page.md": "# Page\n"})
    run = build(tmp_path)
    assert run.returncode != 0
    assert problem in run.stdout


def test_the_navigation_has_every_page(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    listed = re.findall(r'<a href="\./([^"]*)" class="md-nav__link', home)
    assert sorted(listed) == sorted({*PAGES, "reference/answers.schema.json"} - {""})


def test_only_what_readers_need_is_published(site: Path) -> None:
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    published = {path for path in files if not path.startswith("assets/")}
    assert published == {
        *(f"{address}index.html" for address in PAGES),
        "404.html",
        "recordings/local.cast",
        "explanation/costs.json",
        "explanation/costs.svg",
        "reference/answers.schema.json",
        "search.json",
        "sitemap.xml",
    }


class Reader(HTMLParser):
    """What is read on a page: text, and the elements that give it its form."""

    FORM = re.compile("h[1-6r]|[uo]l|li|pre|code|table|t[rhd]|blockquote|strong|em|br|img")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.within: list[str] = []
        self.feed(html)
        self.words = "".join(self.parts).split()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"a", "code"}:
            self.within.append("headerlink" if ("class", "headerlink") in attrs else tag)
        if self.FORM.fullmatch(tag):
            self.parts.append(f"\n<{tag}>\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"a", "code"}:
            self.within.pop()

    def handle_data(self, data: str) -> None:
        if "headerlink" not in self.within:
            self.parts.append(re.sub(r"\s", "·", data) if "code" in self.within else data)


@pytest.fixture(scope="module")
def github() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.mark.parametrize("address", PAGES)
def test_a_page_reads_as_it_does_on_github(site: Path, github: MarkdownIt, address: str) -> None:
    page = (site / address / "index.html").read_text(encoding="utf-8")
    article = re.search(r'(?s)<a id="__skip" tabindex="-1"></a>(.*)</article>', page)
    assert article
    expected = github.render(PAGES[address].read_text(encoding="utf-8"))
    assert Reader(article[1]).words == Reader(expected).words


def test_the_search_index_has_every_rule(site: Path) -> None:
    items = json.loads((site / "search.json").read_text(encoding="utf-8"))["items"]
    found = {
        rule
        for item in items
        if item["location"].startswith("reference/rules/")
        for rule in re.findall(r"\b[A-Z]{3}\d{3}\b", item["title"])
    }
    assert found == {*RULES}


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and keeps no log."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        one.resize(390)
        yield one


# A table, code and links each; loading all pages would cost half a minute of CPU.
LOADED = ["", "reference/rules/RUN/", "reference/import-time/"]


@pytest.mark.parametrize("address", LOADED)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_can_be_read_on_a_phone_and_loads_nothing_from_elsewhere(
    phone: Browser, served: str, scheme: str, address: str
) -> None:
    phone.prefer(scheme)
    phone.open(f"{served}{address}")
    paper = phone.js("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(11, 12, 15)"}[scheme]
    prose = "article p, article li, article th, article td, article a:not(.headerlink)"
    assert phone.lowest_contrast(prose) >= 4.5
    assert phone.js("document.documentElement.scrollWidth") == 390
    loaded = phone.js("performance.getEntriesByType('resource').map(one => one.name)")
    assert [url for url in loaded if not url.startswith(served)] == []
    assert phone.messages() == []


# Shows each page's text in the page that is open, and looks for what would scroll sideways.
TOO_WIDE = """
  const [urls, done] = arguments;
  const shown = document.querySelector("article");
  const wide = async (url) => {
    const text = await (await fetch(url)).text();
    const page = new DOMParser().parseFromString(text, "text/html");
    shown.innerHTML = page.querySelector("article").innerHTML;
    return document.documentElement.scrollWidth > 390;
  };
  (async () => {
    const found = [];
    for (const url of urls) if (await wide(url)) found.push(url);
    return found;
  })().then(done, (error) => done(String(error)));
"""


def test_no_page_scrolls_sideways_on_a_phone(phone: Browser, served: str) -> None:
    phone.open(served)
    body = {"script": TOO_WIDE, "args": [[f"/{address}" for address in PAGES]]}
    assert phone.call("POST", "/execute/async", body) == []


FIRST_RESULT = "document.activeElement.shadowRoot?.querySelector('[role=option]')?.textContent"


def test_a_rule_is_found_by_its_id(phone: Browser, served: str) -> None:
    phone.open(served)
    phone.js("document.querySelector('.md-search__button').click()")
    phone.press(*"run101")
    deadline = time.monotonic() + 60
    while "RUN101: " not in (first := phone.js(FIRST_RESULT) or ""):
        assert time.monotonic() < deadline, first
        time.sleep(0.1)
