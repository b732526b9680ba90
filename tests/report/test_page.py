"""The report: opened in a real browser, offline, with names that try to do harm."""

import functools
import http.server
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation import Case, score_case
from detect_transfer.evaluation.selection import Candidates, Selection
from detect_transfer.report import write_report
from detect_transfer.report.failures import KINDS_OF_FAILURE, worst

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
]
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium in PATH")


class _Elements(HTMLParser):
    """Collects tags, the names of attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.words.append(data)


def dump_dom(page, profile):
    """Return the DOM after the page has run, and the lines of its console."""
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    log = done.stderr.decode("utf-8", "replace").splitlines()
    return done.stdout.decode("utf-8"), [line for line in log if ":CONSOLE" in line]


@needs_browser
def test_report__in_a_browser(make_data, tmp_path):
    data = make_data(["stop", "yield"], notes=["a note to read"])
    page = tmp_path / "report.html"
    write_report(page, data)
    dom, console = dump_dom(page, tmp_path / "profile")
    assert console == []
    detections = _Elements(dom)
    text = " ".join(detections.words)
    assert f"{data.scores.metrics['AP']:.4f}" in text
    assert f"{data.scores.strict['AP']:.4f}" in text  # an ignored box is there, so both policies are shown
    for words in ("stop", "yield", "a note to read", "+0.400", "no area", "a.xml:3", "copied", "Worst failures"):
        assert words in text
    assert detections.tags.count("img") == len(re.findall(r'<img src="data:image/', dom)) + 1  # and the empty large one
    assert dom.count('class="image"') >= 6
    assert dom.count("data:image/svg+xml") == 9
    assert page.stat().st_size < 5_000_000


@needs_browser
def test_report__hostile_names_make_no_elements(make_data, hostile, tmp_path):
    plain, harmful = tmp_path / "plain.html", tmp_path / "harmful.html"
    data = make_data([f"class {i}" for i in range(len(hostile))])
    write_report(plain, data)
    shutil.rmtree(data.case.truth.image_root)
    data.case.truth.image_root.mkdir()
    facts = {name or "-": name for name in hostile}
    write_report(harmful, make_data(hostile, title=hostile[0], notes=hostile[:5], run_facts=facts))
    expected = _Elements(dump_dom(plain, tmp_path / "profile")[0])
    dom, console = dump_dom(harmful, tmp_path / "profile")
    detections = _Elements(dom)
    assert console == []
    assert set(detections.tags) <= set(expected.tags) | {"tbody", "p"}
    assert detections.attributes <= expected.attributes
    assert detections.tags.count("script") == 1
    assert "<title>&lt;script&gt;document.title='owned'" in dom


@needs_browser
def test_report__no_request_leaves_it(make_data, tmp_path):
    """Even an element that slipped in could not call out: the policy of the page blocks it."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(404)
            self.end_headers()

        log_message = functools.partialmethod(lambda self, *args: None)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        page = tmp_path / "report.html"
        write_report(page, make_data(["stop"]))
        text = page.read_text("utf-8")
        url = f"http://127.0.0.1:{server.server_port}"
        slipped = (
            f'<img src="{url}/i"><script src="{url}/s"></script><link rel="stylesheet" href="{url}/c">'
            f'<iframe src="{url}/f"></iframe><script>document.title="ran"</script>'
        )
        page.write_text(text.replace("</main>", slipped + "</main>"), "utf-8")
        dom, console = dump_dom(page, tmp_path / "profile")
        assert asked == []
        assert "<title>ran" not in dom
        assert len(console) >= 4  # each refusal is logged
        page.write_text(
            text.replace("Content-Security-Policy", "x-none").replace("</main>", slipped + "</main>"), "utf-8"
        )
        dump_dom(page, tmp_path / "profile")
        assert "/i" in asked  # the test would see a request
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@needs_browser
def test_report__headings_sort(make_data, tmp_path):
    page = tmp_path / "report.html"
    data = make_data(["b", "a", "c"])
    write_report(page, data)
    clicks = "<script>const b = document.querySelectorAll('#per-class th button'); b[BUTTON].click();</script></body>"
    text = re.sub(r"'sha256-[^']+'", "'unsafe-inline'", page.read_text("utf-8"), count=1)
    orders = {0: ["a", "b", "c"], 2: [r.name for r in sorted(data.scores.per_class, key=lambda r: -r.AP)]}
    for button, expected in orders.items():
        page.write_text(text.replace("</body>", clicks.replace("BUTTON", str(button))), "utf-8")
        dom, _ = dump_dom(page, tmp_path / "profile")
        table = dom.partition('id="per-class"')[2].partition("</table>")[0]
        assert re.findall(r'<td class="name" data-v="(.)"', table) == expected


def test_report__no_external_address(make_data, tmp_path):
    page = tmp_path / "report.html"
    write_report(page, make_data(["stop"]))
    text = page.read_text("utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:|\#)""", text)
    assert "default-src 'none'" in text
    assert "url(" not in text


@pytest.mark.parametrize("test_ap", [None, 0.4321])
def test_report__says_how_the_weights_were_chosen(test_ap, make_data, tmp_path):
    """Without a test split the AP of the best epoch is the headline with what the choice adds; else the test AP is."""
    page, words = tmp_path / "report.html", Selection(Candidates(12), 0.03).sentence
    data = make_data(["stop"], selection=words, test_ap=test_ap)
    write_report(page, data)
    text = page.read_text("utf-8")
    assert "best of 12 epochs on this split; the choice alone adds about +0.030 to the AP" in text
    (headline,) = re.findall(r'<div class="main"><dt>[^<]*</dt><dd id="[^"]*">([^<]*)<', text)
    assert headline == (f"{data.scores.metrics['AP']:.3f}" if test_ap is None else "0.432")


def test_report__nothing_to_show(make_data, tmp_path):
    data = make_data(["stop"])
    truth = data.case.truth
    case = Case(replace(truth, boxes=truth.boxes.clear(), image_root=None), Detections.empty())
    shutil.rmtree(data.case.truth.image_root)
    data.case.truth.image_root.mkdir()
    page = tmp_path / "report.html"
    write_report(page, make_data(["stop"], case=case, scores=score_case(case), history=(), ledger=None, transfer=None))
    text = page.read_text("utf-8")
    assert "the truth has no object" in text
    assert "Worst failures" not in text


def test_report__unreadable_images_are_named_and_left_out(make_data, tmp_path):
    data = make_data(["stop"])
    (data.case.truth.image_root / "1.png").unlink()
    (data.case.truth.image_root / "2.png").write_bytes(b"\x89PNG")
    page = tmp_path / "report.html"
    write_report(page, data)
    text = page.read_text("utf-8")
    assert text.count("Left out: ") == 2
    assert "IMAGE_MISSING" in text


def test_report__odd_records(make_data, tmp_path):
    odd = {"steps": [{"step": "x"}], "other": 1}
    write_report(
        tmp_path / "r.html", make_data(["stop"], ledger=odd, transfer={"a": [1, None, {"b": 2.5}], "c": {}, "d": True})
    )
    text = (tmp_path / "r.html").read_text("utf-8")
    assert "b 2.5" in text


def test_worst__largest_first_then_each_class(make_scene):
    truth, _ = make_scene(["a", "b", "c", "d", "e", "f"], n_images=20)
    rows = worst(Case(truth, Detections.empty()), 0.0)
    areas = ((rows["x2"] - rows["x1"]) * (rows["y2"] - rows["y1"])).to_list()
    assert areas[:8] == sorted(areas[:8], reverse=True)
    assert len(rows) == 16
    assert rows["category_id"].n_unique() == 5  # the fifth of the six is ignored throughout
    assert set(rows["failure"]) == {"fn"}


def test_worst__sorts_false_positives_by_their_cause():
    """One object of class 1 at (0, 0, 10, 10), found; then once more, half beside it, as class 2, and elsewhere."""
    truth = AnnotationTable.from_columns(
        images={"image_id": [1], "file_name": ["a.png"]},
        boxes={"annotation_id": [1], "image_id": [1], "category_id": [1], "x1": [0], "y1": [0], "x2": [10], "y2": [10]},
        categories={"category_id": [1, 2], "name": ["a", "b"]},
    )
    detections = Detections.from_columns(
        {
            "image_id": [1] * 5,
            "category_id": [1, 1, 1, 2, 1],
            "x1": [0, 0, 6, 0, 50],
            "y1": [0] * 5,
            "x2": [10, 10, 16, 10, 60],
            "y2": [10] * 5,
            "score": [0.9, 0.8, 0.7, 0.6, 0.5],
        }
    )
    rows = worst(Case(truth, detections), 0.0)
    assert set(rows["failure"]) <= set(KINDS_OF_FAILURE)
    assert sorted(rows.select("score", "failure", "duplicate").rows(), reverse=True) == [
        (0.8, "fp", True),
        (0.7, "poor_box", False),
        (0.6, "confusion", False),
        (0.5, "fp", False),
    ]
