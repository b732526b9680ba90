"""The report under real clicks and keys in a headless Chromium: filters, sorting, the large view, no network."""

import re

import pytest
import webdriver
from webdriver import Browser

from detect_transfer.report import write_report

pytestmark = pytest.mark.skipif(
    webdriver.CHROMIUM is None or webdriver.DRIVER is None, reason="no chromium with chromedriver in PATH"
)
SHOWN = "return [...document.querySelectorAll('#failures figure.picture:not([hidden])')].map(f => f.dataset.kind)"


@pytest.fixture
def page(make_data, tmp_path):
    path = tmp_path / "report.html"
    write_report(path, make_data(["stop", "yield", "person"]))
    return path


def test_filters__by_kind_and_class_with_their_count(page):
    with Browser() as browser:
        browser.open(page)
        every = browser.run(SHOWN)
        assert set(every) >= {"miss", "false_alarm"}
        browser.click("button[data-kind=miss]")
        missed = browser.run(SHOWN)
        assert missed == ["miss"] * every.count("miss")
        browser.run("const s = document.querySelector('.filters select'); s.selectedIndex = 1; "
                    "s.dispatchEvent(new Event('change'));")  # fmt: skip
        classes = browser.run(
            "return [...document.querySelectorAll('#failures figure.picture:not([hidden])')]"
            ".map(f => f.dataset.classes.split(' '))"
        )
        assert classes
        assert all("1" in of for of in classes)
        told = browser.run("return document.querySelector('.filters output').textContent")
        assert told == f"{len(classes)} of {len(every)} shown"
        assert browser.console() == []
        assert browser.requests() == []


def test_filters__work_by_keyboard_with_a_visible_focus(page):
    with Browser() as browser:
        browser.open(page)
        browser.run("document.querySelector('.filters button').focus()")
        browser.press("Tab", "Space")
        assert set(browser.run(SHOWN)) == {"miss"}
        look = browser.run(
            "const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]"
        )
        assert look == ["solid", "3px"]


def test_viewer__opens_steps_and_closes(page):
    state = (
        "const v = document.querySelector('#viewer'); "
        "return [v.open, v.querySelector('img').naturalWidth > 0, v.querySelector('.place').textContent]"
    )
    with Browser() as browser:
        browser.open(page)
        n = len(browser.run(SHOWN))
        browser.click("#failures figure.picture a.open")
        assert browser.run(state) == [True, True, f"1 of {n}"]
        title = browser.run("return document.querySelector('#viewer b').textContent")
        assert title == browser.run("return document.querySelector('#failures figcaption b').textContent")
        browser.press("Right", "Right", "Left")
        assert browser.run(state) == [True, True, f"2 of {n}"]
        browser.press("Escape")
        assert browser.run(state)[0] is False
        focused = "return [...document.querySelectorAll('#failures a.open')].indexOf(document.activeElement)"
        assert browser.run(focused) == 1  # where it was left, not where it began
        browser.press("Enter")
        assert browser.run(state) == [True, True, f"2 of {n}"]
        browser.click("#viewer .tools button:last-child")
        assert browser.run(state)[0] is False
        assert browser.console() == []


def test_viewer__stays_within_the_filter(page):
    with Browser() as browser:
        browser.open(page)
        browser.click("button[data-kind=false_alarm]")
        n = len(browser.run(SHOWN))
        browser.click("#failures figure.picture:not([hidden]) a.open")
        assert browser.run("return document.querySelector('#viewer .place').textContent") == f"1 of {n}"
        browser.press(*["Right"] * (n + 3))
        assert browser.run("return document.querySelector('#viewer .place').textContent") == f"{n} of {n}"


def test_headings__sort_by_keyboard(page):
    names = "return [...document.querySelectorAll('#points tbody td.name')].map(c => c.textContent)"
    with Browser() as browser:
        browser.open(page)
        browser.run("document.querySelector('#points th button').focus()")
        browser.press("Enter")
        assert browser.run(names) == ["person", "stop", "yield"]
        browser.press("Enter")
        assert browser.run(names) == ["yield", "stop", "person"]
        assert browser.run("return document.querySelector('#points th[data-column]').ariaSort") == "descending"


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True)])
def test_page__fits_and_has_contrast(page, width, dark):
    with Browser(width=width, height=800, dark=dark) as browser:
        browser.open(page)
        assert browser.run("return document.documentElement.scrollWidth") == width
        paper, ink = (
            sum(map(int, re.findall(r"\d+", browser.run(f"return getComputedStyle(document.body).{name}"))[:3]))
            for name in ("backgroundColor", "color")
        )
        assert (paper < ink) is dark
        assert abs(paper - ink) > 400
        assert browser.run("return [...document.images].every(i => i.alt || i.closest('dialog'))")


def test_page__hostile_names_in_filter_and_viewer(make_data, hostile, tmp_path):
    path = tmp_path / "report.html"
    write_report(path, make_data(hostile))
    with Browser() as browser:
        browser.open(path)
        before = browser.run("return document.querySelectorAll('*').length")
        browser.click("#failures figure.picture a.open")
        browser.press(*["Right"] * 40)
        browser.press("Escape")
        assert browser.run("return document.querySelectorAll('*').length") == before
        assert browser.run("return document.title").startswith("a run")
        assert browser.console() == []
        assert browser.requests() == []


def test_page__prints_every_section_and_picture(page):
    with Browser() as browser:
        browser.open(page)
        browser.devtools("Emulation.setEmulatedMedia", media="print")
        hidden = browser.run(
            "return ['nav', '.filters', '#viewer']"
            ".every(s => getComputedStyle(document.querySelector(s)).display === 'none')"
        )
        assert hidden
        assert browser.pdf().startswith(b"%PDF")
