"""Small inputs after public bug reports, each with the boxes that are right, where they lie beside this checkout."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from paths import SHARED

from detect_transfer.cli.main import main
from detect_transfer.data.reading import read_dataset

CASES = SHARED / "cases" / "formats"
NAMES = sorted(path.name for path in CASES.iterdir()) if CASES.is_dir() else []

# right where the input cannot mean one thing alone: the code of the refusal, and the option that it names
REFUSED = {
    "coco-normalised": ("BOX_FORMAT", "units=shares"),
    "coco-xyxy": ("BOX_FORMAT", "box_format=xyxy"),
    "csv-normalised": ("BOX_FORMAT", "units=shares"),
    "coco-cvat-mask-crowd": ("SPLIT_NO_POSITIVES", "crowds=objects"),
    "via-noclass": ("VIA_CLASS", "class_name=object"),
    "yolo-track-conf-id": ("LABEL_COLUMNS", "rows=track"),
}
# the right boxes of cases whose folder holds none
EXPECTED = {
    "coco-normalised": {"a": [["car", 10, 20, 40, 60]], "b": [["car", 30, 20, 60, 60]], "c": [["car", 50, 20, 80, 60]]},
    "coco-xyxy": {stem: [["car", 120, 40 + i, 180, 90]] for i, stem in enumerate("abc")},
    "csv-normalised": {stem: [["car", 10, 20, 40, 60]] for stem in "abc"},
    "yolo-track-conf-id": {"a": [["stop", 80, 30, 120, 70], ["person", 40, 40, 60, 60]]},
    "voc-polygon-only": {"a": [["car", 10, 20, 40, 60]]},
}
# the format and source where the command names a format that had no reader
INSTEAD = {"datumaro-json": ["datumaro", "input"]}
NOT_YET = {
    "labelme-embedded",  # refused with a word on imageData
}

pytestmark = pytest.mark.skipif(not NAMES, reason="the cases are not beside this checkout")


def words_of(case: Path, out: Path) -> list[str]:
    """Return the words of the command that the README of a case gives."""
    readme = (case / "README").read_text(encoding="utf-8")
    line = next(line for line in readme.splitlines() if line.startswith("command: detect-transfer "))
    places = {"OUT": str(out), "--split": "--split-ratio", "--images": "--image-mode"}
    words = [places.get(word, word) for word in shlex.split(line)[2:]]
    words[1:3] = INSTEAD.get(case.name, words[1:3])
    return [str(case / word) if word.split("/")[0] == "input" else word for word in words]


def boxes_of(out: Path) -> dict[str, list[list[object]]]:
    """Return the boxes of a data folder by the stems of their images: class, corners, and `ignore` where it is set."""
    table = read_dataset(out, format="data_folder")
    stems = {i: Path(name).stem for i, name in table.images.select("image_id", "file_name").rows()}
    classes = dict(table.categories.select("category_id", "name").rows())
    boxes: dict[str, list[list[object]]] = {stem: [] for stem in stems.values()}
    for image, category, *corners in table.boxes.select("image_id", "category_id", "x1", "y1", "x2", "y2").rows():
        boxes[stems[image]].append([classes.get(category), *(round(corner, 6) for corner in corners)])
    return {stem: sorted(rows, key=repr) for stem, rows in boxes.items()}


def expected_of(case: Path) -> dict[str, list[list[object]]]:
    path = case / "expected.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else EXPECTED[case.name]
    rows = {stem: [[name, *map(float, corners[:4])] for name, *corners in boxes] for stem, boxes in content.items()}
    return {stem: sorted(boxes, key=repr) for stem, boxes in rows.items()}


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Run a command; return the exit code, and what it said."""
    with pytest.raises(SystemExit) as left:
        main(words)
    said = capsys.readouterr()
    return int(left.value.code or 0), said.out + said.err


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_YET])
def test_case__gives_the_right_boxes(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, case = tmp_path / "out", CASES / name
    words = words_of(case, out)
    code, said = run(words, capsys)
    if name in REFUSED:
        refusal, part = REFUSED[name]
        assert code == 2, said
        assert f"{refusal} " in said
        assert part in said
        assert not out.exists()
        code, said = run([*words, "--option", part], capsys)
    assert code == 0, said
    assert boxes_of(out) == expected_of(case)
