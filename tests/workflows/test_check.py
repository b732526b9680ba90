"""A whole check: what it writes, that the page is one offline file, and what the command line says and returns."""

import json
import re

import numpy as np
import pytest
from paths import DATASETS, ROOT
from PIL import Image

from detect_transfer.cli import main
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.data.findings import REMEDIES
from detect_transfer.data.reading import read_dataset
from detect_transfer.formats import READERS
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.coco.writer import write_coco
from detect_transfer.workflows.check import CheckOptions, check_table

NASTY = "<script>alert(1)</script>"


def scene(seed):
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((200, 150), Image.Resampling.BICUBIC)


@pytest.fixture
def table(tmp_path):
    """Four images, the last of them a copy of the first in another compression; one box is a line."""
    root = tmp_path / "images"
    root.mkdir()
    for i in (1, 2, 3):
        scene(i).save(root / f"{i}.png")
    scene(1).save(root / "4.jpg", quality=60)
    return AnnotationTable.from_columns(
        images={
            "image_id": [1, 2, 3, 4],
            "file_name": ["1.png", "2.png", "3.png", "4.jpg"],
            "width": [200] * 4,
            "height": [150] * 4,
            "split": ["train", "train", "val", "val"],
        },
        boxes={
            "annotation_id": [1, 2, 3, 4, 5],
            "image_id": [1, 2, 3, 4, 1],
            "category_id": [1] * 5,
            **{"x1": [10.0] * 5, "y1": [10.0] * 5, "x2": [60.0] * 4 + [190.0], "y2": [60.0] * 4 + [11.0]},
            "source": [f"a.txt:{i}" for i in range(1, 6)],
        },
        categories={"category_id": [1], "name": [NASTY]},
        image_root=root,
    )


def test_check__writes_findings_and_one_offline_page(table, tmp_path):
    report, trip = check_table(table, options=CheckOptions("signs", imgsz=640, round_trip=True, out=tmp_path / "out"))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["check.html", "check.json", "round_trip.json"]
    written = json.loads((tmp_path / "out/check.json").read_text())
    assert {f["code"] for f in written["findings"]} == {"NEAR_LEAK", "BOX_ASPECT", "BOX_TINY", "BOX_TINY_AT_IMGSZ"}
    assert written["ok"] is report.ok is True
    assert trip is not None
    assert trip.ok
    page = (tmp_path / "out/check.html").read_text()
    assert "http" not in re.sub(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+", "", page).replace("http-equiv", "")
    assert NASTY not in page
    assert page.count('class="image"') == 4, "a pair, and the line under three rules"
    assert page.count('<img src="data:image/jpeg;base64,') == 6, "and two sheets"
    assert page.count('class="plot"') == 4
    for finding in written["findings"]:
        assert finding["remedy"] in page.replace("&lt;", "<")
    assert "every field came back" in page


def test_check__a_table_without_images(table):
    from dataclasses import replace

    report, trip = check_table(replace(table, image_root=None), options=CheckOptions("signs"))
    assert not report.images_read
    assert trip is None
    assert {f.code for f in report.findings} == {"BOX_ASPECT", "BOX_TINY", "IMAGES_ABSENT"}


def test_check__a_image_that_is_gone_is_named_on_the_page(table, tmp_path):
    (table.image_root / "1.png").unlink()
    report, _ = check_table(table, options=CheckOptions("signs", out=tmp_path / "out"))
    assert not report.ok
    assert "Not shown: IMAGE_MISSING" in (tmp_path / "out/check.html").read_text()


def test_check__clean_data_are_shown_too(tiny_data, tmp_path):
    table = read_dataset(tiny_data)
    table = table.select_images(table.images["image_id"].head(3))
    report, _ = check_table(table, options=CheckOptions("signs", imgsz=96, out=tmp_path / "out", follow_links=True))
    page = (tmp_path / "out/check.html").read_text()
    assert report.ok
    assert page.count('class="plot"') == 4
    assert page.count('class="sheet"') == 2


def test_command__data_that_cannot_be_read_have_a_page_as_well(tmp_path, capsys):
    for folder in ("Annotations", "JPEGImages"):
        (tmp_path / "bad" / folder).mkdir(parents=True)
    (tmp_path / "bad" / "Annotations" / "a.xml").write_text("<annotation><b>")
    assert run("check", tmp_path / "bad", "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith("XML_SYNTAX")
    page = (tmp_path / "out" / "check.html").read_text()
    for fault in json.loads((tmp_path / "out" / "check.json").read_text())["faults"]:
        assert fault["code"] in page
        assert str(fault["remedy"])[:20] in page
    assert run("check", tmp_path / "nowhere", "--out", tmp_path / "no") == 2
    assert not (tmp_path / "no").exists()


def test_findings__each_says_what_to_do():
    sources = [p.read_text() for p in (ROOT / "detect_transfer" / "data").glob("*.py")]
    codes = {c for text in sources for c in re.findall(r'(?:"(?:error|warning|note)",\s*"([A-Z_]+)")', text)}
    assert len(codes) >= 20
    assert codes <= REMEDIES.keys()


def test_check__leaves_a_folder_that_holds_something_alone(table, tmp_path):
    with pytest.raises(InputError, match="OUT_NOT_EMPTY"):
        check_table(table, options=CheckOptions("signs", out=tmp_path / "images"))


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


def test_command__check_of_a_native_format(table, tmp_path, capsys):
    for split in table.splits:
        write_coco(table.split_of(split), tmp_path / "annotations" / f"instances_{split}.json")
    assert run("check", tmp_path, "--format", "coco", "--round-trip", "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "warning NEAR_LEAK (1)" in said
    assert "through COCO and back" in said
    assert (tmp_path / "out/check.html").is_file()
    assert read_coco(tmp_path).splits == ["train", "val"]


@pytest.mark.parametrize("name", sorted(READERS))
def test_command__check_takes_every_format(name, tmp_path, capsys):
    """Every sample of every format can be checked; what is found there is the sample's affair."""
    import yaml

    for card_path in sorted(DATASETS.glob("*/dataset.yaml")):
        card = yaml.safe_load(card_path.read_text(encoding="utf-8"))
        if card["format"] != name:
            continue
        options = [f"--option={k}={json.dumps(v).strip(chr(34))}" for k, v in card["options"].items()]
        code = run("check", card_path.parent / "sample", "--format", name, "--round-trip", *options)
        said = capsys.readouterr()
        assert code in (0, 2), said.err
        assert said.err == "", said.err
        assert "through YOLO and back" in said.out
        assert "DIFFER" not in said.out, said.out


def test_command__what_is_skipped_is_reported_before_the_end(tmp_path, capsys):
    root = tmp_path / "set"
    for i in range(1, 7):
        path = root / "images" / f"{'train' if i < 5 else 'val'}/{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        scene(i).save(path)
        label = root / "labels" / path.relative_to(root / "images").with_suffix(".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("0 0.5 0.5 0.2 0.2\n" + ("0 x 0.5 0.2 0.2\n" if i == 1 else ""))
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [a]\n")
    assert run("convert", "yolo", root, "--out", tmp_path / "out") == 2
    assert "1.txt:2" in capsys.readouterr().err
    assert run("convert", "yolo", root, "--out", tmp_path / "out", "--on-error", "skip-row", "--check") == 0
    said = capsys.readouterr().out
    assert "left out: 1 box (read): skipped: LABEL_NUMBER  e.g. LABEL_NUMBER " in said
    assert "split: the source's own (train, val)" in said
    ledger = json.loads((tmp_path / "out/ledger.json").read_text())
    assert (ledger["steps"][0]["boxes_in"], ledger["steps"][0]["boxes_out"]) == (7, 6)
    assert run("check", tmp_path / "out") == 0
