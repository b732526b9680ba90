"""The report under real clicks and keys in a headless Chromium: filters, sorting, the large view, no network."""

import sys
from dataclasses import replace
from itertools import pairwise

import pytest
from paths import BENCHMARKS

from detect_transfer.evaluation import score_case
from detect_transfer.report import write_report

sys.path.append(str(BENCHMARKS))
import webdriver
from webdriver import Browser

pytestmark = pytest.mark.skipif(
    webdriver.CHROMIUM is None or webdriver.DRIVER is None, reason="no chromium with chromedriver in PATH"
)
SHOWN = "return [...document.querySelectorAll('#failures figure.image:not([hidden])')].map(f => f.dataset.kind)"
PLACE = "return document.querySelector('#viewer .place').textContent"
OPEN = "return document.querySelector('#viewer').open"
# an element with text of its own, and the colours of that text and of what lies behind it
LOW_CONTRAST = """
const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const style = getComputedStyle(at);
    const bar = style.backgroundImage.match(/rgba?\\([^)]*\\)/);
    if (bar) return parts(bar[0]).slice(0, 3);
    const rgba = parts(style.backgroundColor);
    if (rgba.length < 4 || rgba[3] > 0.9) return rgba.slice(0, 3);
  }
  return [255, 255, 255];
};
const found = [];
for (const element of document.body.querySelectorAll('*')) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.checkVisibility() || element.matches('script, style, :disabled')) continue;
  const style = getComputedStyle(element), back = ground(element), share = Number(style.opacity);
  const ink = parts(style.color).slice(0, 3).map((v, i) => share * v + (1 - share) * back[i]);
  const [low, high] = [light(ink), light(back)].sort((a, b) => a - b);
  const ratio = (high + 0.05) / (low + 0.05);
  if (ratio < 4.5) found.push(`${element.outerHTML.slice(0, 80)} ${ratio.toFixed(2)}`);
}
return found;
"""


@pytest.fixture
def page(make_data, tmp_path):
    path = tmp_path / "report.html"
    write_report(path, make_data(["stop", "yield", "person"]))
    return path


def test_filters__by_kind_and_class_with_their_count(page):
    with Browser() as browser:
        browser.open(page)
        every = browser.run(SHOWN)
        assert set(every) >= {"fn", "fp"}
        browser.click("button[data-kind=fn]")
        browser.wait_for(SHOWN, ["fn"] * every.count("fn"))
        browser.run(
            "const s = document.querySelector('.filters select'); s.selectedIndex = 1; "
            "s.dispatchEvent(new Event('change'));"
        )
        classes = browser.run(
            "return [...document.querySelectorAll('#failures figure.image:not([hidden])')]"
            ".map(f => f.dataset.classes.split(' '))"
        )
        assert classes
        assert all("1" in of for of in classes)
        text = browser.run("return document.querySelector('.filters output').textContent")
        assert text == f"{len(classes)} of {len(every)} shown"
        assert browser.console() == []
        assert browser.requests() == []


def test_filters__work_by_keyboard_with_a_visible_focus(page):
    with Browser() as browser:
        browser.open(page)
        browser.run("document.querySelector('.filters button').focus()")
        browser.press("Tab", "Space")
        browser.wait_for(f"return [...new Set((() => {{ {SHOWN} }})())]", ["fn"])
        browser.wait_for(
            "const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]",
            ["solid", "3px"],
        )


def test_viewer__opens_steps_and_closes(page):
    state = (
        "const v = document.querySelector('#viewer'); "
        "return [v.open, v.querySelector('img').naturalWidth > 0, v.querySelector('.place').textContent]"
    )
    with Browser() as browser:
        browser.open(page)
        n = len(browser.run(SHOWN))
        browser.click("#failures figure.image a.open")
        browser.wait_for(state, [True, True, f"1 of {n}"])
        title = browser.run("return document.querySelector('#viewer b').textContent")
        assert title == browser.run("return document.querySelector('#failures figcaption b').textContent")
        browser.press("Right", "Right", "Left")
        browser.wait_for(state, [True, True, f"2 of {n}"])
        browser.press("Escape")
        browser.wait_for(OPEN, False)
        focused = "return [...document.querySelectorAll('#failures a.open')].indexOf(document.activeElement)"
        browser.wait_for(focused, 1)  # where it was left, not where it began
        browser.press("Enter")
        browser.wait_for(state, [True, True, f"2 of {n}"])
        browser.click("#viewer .tools button:last-child")
        browser.wait_for(OPEN, False)
        assert browser.console() == []


def test_viewer__stays_within_the_filter(page):
    with Browser() as browser:
        browser.open(page)
        every = browser.run(SHOWN)
        n = every.count("fp")
        assert 0 < n < len(every)
        browser.click("button[data-kind=fp]")
        browser.wait_for(SHOWN, ["fp"] * n)
        browser.click("#failures figure.image:not([hidden]) a.open")
        browser.wait_for(PLACE, f"1 of {n}")
        browser.press(*["Right"] * (n + 3))
        browser.wait_for(PLACE, f"{n} of {n}")


def test_headings__sort_by_keyboard(page):
    names = "return [...document.querySelectorAll('#points tbody td.name')].map(c => c.textContent)"
    with Browser() as browser:
        browser.open(page)
        browser.run("document.querySelector('#points th button').focus()")
        browser.press("Enter")
        browser.wait_for(names, ["person", "stop", "yield"])
        browser.press("Enter")
        browser.wait_for(names, ["yield", "stop", "person"])
        assert browser.run("return document.querySelector('#points th[data-column]').ariaSort") == "descending"


def test_classes__sort_by_value_with_intervals_below(make_data, tmp_path):
    """The interval is in the cell of its value, and does not make the table wider than a phone can scroll."""
    data = make_data(["stop", "yield", "person"])
    scores = score_case(data.case, n_draws=100)
    path = tmp_path / "with.html"
    write_report(path, replace(data, scores=scores))
    names = "return [...document.querySelectorAll('#per-class tbody td.name')].map(c => c.textContent)"
    cells = "return [...document.querySelectorAll('#per-class tbody td:nth-child(3) small')].map(c => c.textContent)"
    with Browser(width=390, height=800) as browser:
        browser.open(path)
        spans = [scores.interval.per_class[row.category_id]["AP"] for row in scores.per_class]
        assert browser.run(cells) == [f"{low:.3f}–{high:.3f}" for low, high in spans]
        browser.run("document.querySelectorAll('#per-class th button')[2].click()")
        browser.wait_for(names, [row.name for row in sorted(scores.per_class, key=lambda row: -row.AP)])
        assert browser.run("return document.querySelector('#per-class th:nth-child(3)').ariaSort") == "descending"
        assert browser.run("return document.documentElement.scrollWidth") == 390
        assert browser.run(LOW_CONTRAST) == []


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (1280, True), (390, True)])
def test_page__fits_and_has_contrast(page, width, dark):
    with Browser(width=width, height=800, dark=dark) as browser:
        browser.open(page)
        assert browser.run("return document.documentElement.scrollWidth") == width
        paper = browser.run("return getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") is not dark
        assert browser.run(LOW_CONTRAST) == []
        browser.run("document.querySelector('#failures a.open').click()")
        browser.wait_for(OPEN)
        assert browser.run(LOW_CONTRAST) == []


def test_page__is_read_in_order_to_those_who_do_not_see_it(page):
    """Headings go down one level at a time, every image has words, and nothing moves for those who asked for that."""
    with Browser() as browser:
        browser.open(page)
        levels = browser.run("return [...document.querySelectorAll('h1, h2, h3, h4')].map(h => Number(h.tagName[1]))")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert browser.run("return [...document.images].every(i => i.alt || i.closest('dialog'))")
        assert browser.run("return [...document.querySelectorAll('th')].every(h => h.textContent.trim())")
        assert browser.run("return getComputedStyle(document.documentElement).scrollBehavior") == "auto"


def test_page__hostile_names_in_filter_and_viewer(make_data, hostile, tmp_path):
    path = tmp_path / "report.html"
    write_report(path, make_data(hostile))
    with Browser() as browser:
        browser.open(path)
        n = len(browser.run(SHOWN))
        before = browser.run("return document.querySelectorAll('*').length")
        browser.click("#failures figure.image a.open")
        browser.press(*["Right"] * n)
        browser.wait_for(PLACE, f"{n} of {n}")
        browser.press("Escape")
        browser.wait_for(OPEN, False)
        assert browser.run("return document.querySelectorAll('*').length") == before
        assert browser.run("return document.title").startswith("a run")
        assert browser.console() == []
        assert browser.requests() == []


def test_page__prints_every_section_and_image(page):
    with Browser() as browser:
        browser.open(page)
        browser.devtools("Emulation.setEmulatedMedia", media="print")
        browser.wait_for(
            "return ['nav', '.filters', '#viewer']"
            ".every(s => getComputedStyle(document.querySelector(s)).display === 'none')"
        )
        pdf = browser.pdf()
        n_images = browser.run("return document.querySelectorAll('figure.image').length")
        assert pdf.startswith(b"%PDF")
        assert pdf.count(b"/Subtype /Image") >= n_images > 10
