"""The page of `forge audit --html`, looked at in a browser."""

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from forge_scaffold.sources import own_template
from tests.audit.conftest import Audited
from tests.browser import Browser, browser

TAB, ENTER, SPACE = "\ue004", "\ue007", " "

SHOWN_ROWS = "[...document.querySelectorAll('.table tbody tr')].filter(row => !row.hidden)"
SHOWN_NAMES = f"{SHOWN_ROWS}.map(row => row.cells[0].textContent)"


@pytest.fixture(scope="module")
def opened(audited: Audited, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as one:
        one.open(audited.page)
        yield one


@pytest.fixture
def page(opened: Browser, audited: Audited) -> Browser:
    opened.protocol("Emulation.clearDeviceMetricsOverride")
    opened.protocol("Emulation.setEmulatedMedia", features=[])
    opened.open(audited.page)
    return opened


def test_the_page_needs_nothing_and_nothing_of_it_is_refused(page: Browser) -> None:
    resources = page.js("performance.getEntriesByType('resource').length")
    assert (resources, page.messages()) == (0, [])


def test_what_the_project_says_is_text(page: Browser) -> None:
    assert page.js("document.querySelector('h1').textContent") == (
        "<b>project on Cloudflare Workers"
    )
    assert page.js("document.querySelectorAll('h1 b, img').length") == 0
    assert page.js("document.querySelectorAll('script').length") == 1
    assert "<img src=x onerror=alert(1)>.py:1" in page.js("document.body.textContent")


def test_a_script_that_gets_in_does_not_run(audited: Audited, page: Browser) -> None:
    broken_in = audited.page.with_name("broken-in.html")
    text = audited.page.read_text(encoding="utf-8")
    broken_in.write_text(text.replace("<main>", "<main><script>window.ran = 1</script>"), "utf-8")
    page.open(broken_in)
    assert page.js("window.ran ?? 0") == 0
    assert "Content Security Policy" in "".join(page.messages())


def test_every_dependency_has_a_row_with_its_verdict(page: Browser, audited: Audited) -> None:
    rows = page.js(f"{SHOWN_ROWS}.map(row => [row.cells[0].textContent, row.cells[1].textContent])")
    told = [[row["name"], row["verdict"]] for row in audited.told["dependencies"]]
    assert rows == told


def test_the_table_is_filtered_by_words_and_verdict(page: Browser) -> None:
    page.type("#search", "webassembly middle")
    assert page.js(SHOWN_NAMES) == ["chained"]
    assert page.js("document.querySelector('#shown').textContent").startswith("1 of ")
    page.js("(document.querySelector('#search').value = '')")
    page.type("#verdict", "replaced")
    assert page.js(SHOWN_NAMES) == ["tenacity"]


def test_the_table_is_sorted_by_keyboard(page: Browser) -> None:
    names = page.js(SHOWN_NAMES)
    page.click("#search")
    page.press(TAB, TAB)
    assert page.js("document.activeElement.textContent") == "Package"
    page.press(ENTER)
    assert page.js(SHOWN_NAMES) == sorted(names)
    page.press(SPACE)
    assert page.js(SHOWN_NAMES) == sorted(names, reverse=True)
    sorting = "document.activeElement.closest('th').getAttribute('aria-sort')"
    assert page.js(sorting) == "descending"


def test_a_plans_link_opens_the_code_that_replaces_it(page: Browser) -> None:
    page.click("a[href='#code-src-service-retry-py']")
    assert page.js("document.getElementById('code-src-service-retry-py').open")
    shown = page.js("document.querySelector('#code-src-service-retry-py pre').textContent")
    with own_template() as root:  # that of the newest release, as `forge new` renders it
        code = root / "template" / "src" / "service" / "retry.py"
        assert shown == code.read_text(encoding="utf-8")


def test_the_tree_shows_the_way_to_what_blocks(page: Browser) -> None:
    trees = page.js("[...document.querySelectorAll('#trees > details')].map(d => d.textContent)")
    (chained,) = (tree for tree in trees if tree.startswith("chained "))
    assert "middle 1.0" in chained
    assert "compiled 1.0: blocks" in chained


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_sticks_out_sideways(page: Browser, width: int) -> None:
    page.resize(width)
    page.js("document.querySelectorAll('details').forEach(one => { one.open = true })")
    assert page.js("document.documentElement.scrollWidth") <= width


def test_the_whole_table_is_seen_without_scrolling(page: Browser) -> None:
    page.protocol(
        "Emulation.setDeviceMetricsOverride",
        width=1280,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    box = "document.querySelector('.scroll')"
    assert page.js(f"{box}.scrollWidth <= {box}.clientWidth")


def test_it_fits_on_paper_without_its_controls(page: Browser) -> None:
    page.protocol("Emulation.setEmulatedMedia", media="print", features=[])
    page.protocol(
        "Emulation.setDeviceMetricsOverride",
        width=718,
        height=1000,
        deviceScaleFactor=1,
        mobile=False,
    )
    assert page.js("document.documentElement.scrollWidth") <= 718
    box = "document.querySelector('.scroll')"
    assert page.js(f"{box}.scrollWidth <= {box}.clientWidth")
    assert page.js("getComputedStyle(document.querySelector('.filters')).display") == "none"
    page.protocol("Emulation.setEmulatedMedia", media="", features=[])


def test_numbers_are_under_their_heads_and_filters_on_one_line(page: Browser) -> None:
    right = "(cell) => getComputedStyle(cell).textAlign"
    heads = page.js(f"[...document.querySelectorAll('thead th')].slice(4, 7).map({right})")
    cells = page.js(
        f"[...document.querySelectorAll('.table tbody tr')[0].cells].slice(4, 7).map({right})"
    )
    assert heads == cells == ["right"] * 3
    page.protocol(
        "Emulation.setDeviceMetricsOverride",
        width=1024,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    tops = page.js(
        "[...document.querySelectorAll('.filters input, .filters select')]"
        ".map((one) => Math.round(one.getBoundingClientRect().top))"
    )
    assert max(tops) - min(tops) <= 4


def test_on_a_phone_no_cell_is_empty(page: Browser) -> None:
    page.protocol(
        "Emulation.setDeviceMetricsOverride",
        width=390,
        height=800,
        deviceScaleFactor=1,
        mobile=True,
    )
    shown = page.js(
        "[...document.querySelectorAll('.table td')]"
        ".filter((cell) => cell.getBoundingClientRect().height > 0)"
        ".map((cell) => cell.textContent.trim())"
    )
    assert shown
    assert all(shown)


def test_it_says_when_and_by_what_it_was_made_and_shows_code_as_code(page: Browser) -> None:
    head = page.js("document.querySelector('header').textContent")
    assert f"Forge {version('forge-workers')}, " in head
    assert "4 Python files read" in head
    assert "`" not in page.js("document.querySelector('#plan').textContent")
    assert "npm test" in page.js(
        "[...document.querySelectorAll('#plan code')].map((code) => code.textContent)"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(page: Browser, scheme: str) -> None:
    page.prefer(scheme)
    paper = page.js("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(252, 252, 250)", "dark": "rgb(21, 23, 26)"}[scheme]
    assert page.lowest_contrast("p, td, th, li, summary, a, span, strong") >= 4.5


def test_a_screen_reader_finds_its_way(page: Browser) -> None:
    nodes = page.protocol("Accessibility.getFullAXTree")["nodes"]
    named = {
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node["ignored"]
    }
    headings = {name for role, name in named if role == "heading"}
    assert headings >= {"Summary", "Dependencies", "Sizes", "What brings what", "Plan"}
    assert ("searchbox", "Search") in named
    assert ("combobox", "Verdict") in named
    assert ("table", "Direct dependencies and their verdicts") in named
    assert ("columnheader", "Verdict") in named
    assert ("rowheader", "chained") in named
    assert ("navigation", "Sections") in named
    unnamed = {role for role, name in named if role in {"link", "button", "region"} and not name}
    assert unnamed == set()


def test_without_its_script_everything_is_there(page: Browser) -> None:
    page.protocol("Emulation.setScriptExecutionDisabled", value=True)
    try:
        page.call("POST", "/refresh", {})
        nodes = page.protocol("Accessibility.getFullAXTree")["nodes"]
    finally:
        page.protocol("Emulation.setScriptExecutionDisabled", value=False)
    named = {
        (node["role"]["value"], node.get("name", {}).get("value"))
        for node in nodes
        if not node["ignored"]
    }
    assert ("rowheader", "chained") in named
    assert ("searchbox", "Search") not in named


def test_a_page_of_ours_is_written_anew_and_another_file_is_not(
    audited: Audited, tmp_path: Path
) -> None:
    ours = tmp_path / "report.html"
    ours.write_bytes(audited.page.read_bytes())
    again = audited.run(audited.project, "--offline", "--html", ours)
    assert again.returncode == audited.code
    other = tmp_path / "index.html"
    other.write_text("mine")
    refused = audited.run(audited.project, "--offline", "--html", other)
    assert (refused.returncode, refused.stdout, other.read_text()) == (2, "", "mine")
    assert "no audit wrote it" in refused.stderr
    forced = audited.run(audited.project, "--offline", "--html", other, "--force")
    assert forced.returncode == audited.code
    assert "<!doctype html>" in other.read_text(encoding="utf-8")
