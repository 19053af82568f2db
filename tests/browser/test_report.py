# Copyright (c) 2026, The Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pages in headless Chromium: they fit, filter, print, load nothing, and run no host's code."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_html import fleet_html, report_html
from ansible_collections.bulkhead.hardening.plugins.plugin_utils._report_text import visible
from playwright.sync_api import Browser, Page, Route, sync_playwright
from unit.report_samples import HOSTILE, hostile_report, sample_fleet, sample_report

pytestmark = pytest.mark.browser

WIDTHS = (360, 768, 1440)
ARGUMENTS = [
    "--no-sandbox",  # the tests run as root, and open only pages that they have made
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Watched:
    """A page with everything that it must not do: requests, errors on the console, dialogs."""

    def __init__(self, page: Page, source: Path) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._source = source.as_uri()
        page.route("**/*", self._route)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: (self.complaints.append("a dialog"), dialog.dismiss()))

    def _route(self, route: Route) -> None:
        if route.request.url.partition("#")[0] == self._source:
            route.continue_()
        else:
            self.requests.append(route.request.url)
            route.abort()

    def open(self, fragment: str = "") -> Page:
        self.page.goto(self._source + fragment)
        return self.page

    def shown(self) -> int:
        return self.page.locator("[data-entry]:not([hidden])").count()

    def assert_quiet(self) -> None:
        assert (self.requests, self.complaints) == ([], [])


Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program is not None, "chromium is missing: make browser-packages installs it"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def watch(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    contexts = []

    def make(source: str, *, width: int = 1440, scheme: str = "light", javascript: bool = True) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            java_script_enabled=javascript,
        )
        contexts.append(context)
        file = tmp_path / "page.html"
        file.write_text(source, encoding="utf-8")
        return Watched(context.new_page(), file)

    yield make
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "source", [report_html(sample_report()), fleet_html(sample_fleet(40))], ids=["host", "fleet"]
)
def test_the_page_fits_the_screen(watch: Open, source: str, width: int, scheme: str) -> None:
    watched = watch(source, width=width, scheme=scheme)
    page = watched.open()
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    overflowing = page.evaluate(
        "Array.from(document.querySelectorAll('main *'))"
        ".filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5)"
        ".map((each) => each.outerHTML)"
    )
    assert overflowing == []
    assert page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 16
    watched.assert_quiet()


@pytest.mark.parametrize("width", WIDTHS)
def test_no_label_of_the_chart_runs_into_another(watch: Open, width: int) -> None:
    watched = watch(report_html(sample_report()), width=width)
    boxes = watched.open().evaluate(
        "Array.from(document.querySelectorAll('#chart text'))"
        ".map((each) => { const box = each.getBoundingClientRect();"
        " return [box.left, box.right, box.top, box.bottom] })"
    )
    for index, (left, right, top, bottom) in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart = right <= other[0] or other[1] <= left or bottom - 2 <= other[2] or other[3] - 2 <= top
            assert apart, (boxes[index], other)


def test_dark_and_light_are_different(watch: Open) -> None:
    grounds = {
        scheme: watch(report_html(sample_report()), scheme=scheme)
        .open()
        .evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    }
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}


def test_filters_change_what_is_visible(watch: Open) -> None:
    watched = watch(report_html(sample_report()))
    page = watched.open()
    everything = watched.shown()
    page.select_option("select[name=result]", "fail")
    failed = watched.shown()
    assert 0 < failed < everything
    assert page.locator("#fail").is_visible()
    assert not page.locator("#pass").is_visible()
    page.select_option("select[name=severity]", "critical")
    critical = watched.shown()
    assert critical == page.locator("#fail .severity.critical").count() == 3
    page.fill("input[type=search]", "ENGINE'S socket")
    assert watched.shown() == 1
    assert page.locator("form output").inner_text() == f"1 of {everything} shown"
    page.fill("input[type=search]", "no such thing")
    assert watched.shown() == 0
    page.click("button[type=reset]")
    page.wait_for_function("document.querySelector('form output').textContent === ''")
    assert watched.shown() == everything
    watched.assert_quiet()


def test_a_filter_by_area_shows_that_area_alone(watch: Open) -> None:
    watched = watch(report_html(sample_report()))
    page = watched.open()
    page.select_option("select[name=area]", "kernel")
    areas = page.evaluate(
        "Array.from(document.querySelectorAll('[data-entry]:not([hidden])'), (entry) => entry.dataset.area)"
    )
    assert set(areas) == {"kernel"}
    assert page.locator("#not_applicable > details").evaluate("fold => fold.open")


def test_the_fragment_keeps_the_filter(watch: Open) -> None:
    watched = watch(report_html(sample_report()))
    page = watched.open("#result=fail&severity=critical")
    assert watched.shown() == 3
    page.select_option("select[name=severity]", "high")
    assert page.evaluate("location.hash") == "#result=fail&severity=high"
    page.click("button[type=reset]")
    page.wait_for_function("location.hash === ''")
    watched.assert_quiet()


def test_a_link_to_the_folded_section_unfolds_it(watch: Open) -> None:
    page = watch(report_html(sample_report())).open()
    fold = page.locator("#not_applicable > details")
    assert not fold.evaluate("fold => fold.open")
    page.click('nav a[href="#not_applicable"]')
    assert fold.evaluate("fold => fold.open")


def test_without_a_script_everything_is_there(watch: Open) -> None:
    watched = watch(report_html(sample_report()), javascript=False)
    page = watched.open()
    assert not page.locator("form.filters").is_visible()
    for section in ("fail", "error", "pending", "waived", "manual", "pass", "not_applicable", "containers"):
        assert page.locator(f"#{section}").is_visible()
    page.click("#not_applicable > details > summary")
    assert page.locator("#not_applicable details.brief").first.is_visible()


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_text(watch: Open, name: str) -> None:
    watched = watch(report_html(hostile_report(name)), width=360)
    page = watched.open()
    page.mouse.move(100, 100)
    page.click("details.brief summary")
    assert page.locator("h1").inner_text() == visible(name)
    assert page.locator("script").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.fill("input[type=search]", name[:100])
    watched.assert_quiet()


def test_a_script_that_got_in_would_not_run(watch: Open) -> None:
    source = report_html(sample_report()).replace(
        "<footer>",
        "<script>document.title = 'taken'</script><img src='https://example.org/x' "
        "onerror=\"document.title = 'taken'\"><p id='styled' style='color: red'></p><footer>",
    )
    watched = watch(source)
    page = watched.open()
    page.wait_for_timeout(200)
    assert page.title() == "Posture of docker-host-1"
    assert page.evaluate("getComputedStyle(document.getElementById('styled')).color") != "rgb(255, 0, 0)"
    assert watched.requests == []
    assert all("Content Security Policy" in complaint for complaint in watched.complaints)


def test_the_variable_can_be_copied(watch: Open) -> None:
    watched = watch(report_html(sample_report()))
    page = watched.open()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block = page.locator("article .copy").first
    block.locator("button").click()
    page.wait_for_function("document.querySelector('article .copy button').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == block.locator("pre").inner_text()
    watched.assert_quiet()


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_on_paper_all_findings_are_there_in_dark_on_light(watch: Open, javascript: bool) -> None:
    watched = watch(report_html(sample_report()), scheme="dark", javascript=javascript, width=794)
    page = watched.open()
    document = page.pdf(format="A4")
    assert document.startswith(b"%PDF-")
    page.emulate_media(media="print")
    assert not page.locator("form.filters").is_visible()
    if javascript:
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") == 794
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("details:not([open])").count() > 0


def test_a_thousand_hosts_are_listed_and_searched(watch: Open) -> None:
    watched = watch(fleet_html(sample_fleet(1000)), width=360)
    page = watched.open()
    assert watched.shown() == 1000
    page.fill("input[type=search]", "node-0042")
    assert watched.shown() == 1
    link = page.locator("tr[data-entry]:not([hidden]) a")
    assert link.get_attribute("href") == "./node-0042.example.org/report.html"
    watched.assert_quiet()
