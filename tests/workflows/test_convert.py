"""A whole conversion: how often files are opened, and what is said of it."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from paths import DATASETS, ROOT

from detect_transfer.core.errors import InputError
from detect_transfer.core.ledger import LedgerLine
from detect_transfer.data.reading import read_dataset
from detect_transfer.formats import READERS
from detect_transfer.formats.writing.targets import WRITERS
from detect_transfer.workflows.convert import (
    ConvertRequest,
    conversion_lines,
    convert_source,
    format_lines,
    next_lines,
)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("copy", {"images of the source": 2, "images written": 1, "annotations of the source": 1}),
        ("link", {"images of the source": 2, "annotations of the source": 1}),
    ],
)
def test_convert__opens_a_source_image_twice_and_a_copy_once(mode: str, expected: dict[str, int]) -> None:
    """Once for the header, which the reader looks at, and once for all that is done with the image."""
    script = ROOT / "tools" / "benchmarks" / "opens.py"
    done = subprocess.run([sys.executable, script, "--image-mode", mode], capture_output=True, text=True, check=True)
    counts = {line[:28].strip(): int(line.split()[-1]) for line in done.stdout.splitlines()[1:]}
    del counts["other files written"]
    assert counts == expected


def test_convert__says_what_it_did(tmp_path: Path) -> None:
    source = DATASETS / "road_signs" / "sample"
    request = ConvertRequest("voc", source, tmp_path / "out", split_ratio="train=1", check=True)
    readings: list[Sequence[LedgerLine]] = []
    lines = conversion_lines(convert_source(request, on_reading=readings.append))
    ((line,),) = readings
    assert line.reason.startswith("pixels are counted from 0: a corner lies below 1")
    assert any(line.startswith("checked: COCO as written, ") for line in lines)
    assert "split: train=1 by class, seed 0" in lines
    assert lines[0] == f"data folder: {tmp_path / 'out'} (from voc)"
    assert lines[1].startswith("images: 3; boxes: 4")
    assert lines[2].startswith("classes: ")


@pytest.mark.parametrize("to", sorted(WRITERS))
def test_next_command__takes_what_was_written(to: str, tmp_path: Path) -> None:
    source, out = DATASETS / "createml" / "sample", tmp_path / "out"
    lines = next_lines(convert_source(ConvertRequest("createml", source, out, to=to)))
    if lines:
        assert lines == [f"next: detect-transfer train data.path={out}"]
        assert read_dataset(out).splits == ["train", "val"]
    assert bool(lines) == (to in ("coco", "yolo"))


def test_convert__checks_all_words_before_it_reads(tmp_path: Path) -> None:
    request = ConvertRequest("voc", tmp_path / "nowhere", tmp_path / "out", split_ratio="train=2")
    with pytest.raises(InputError, match="SPLIT_RATIO train=2"):
        convert_source(request)


def test_auto__takes_what_shows_its_format_and_says_by_what(tmp_path: Path) -> None:
    result = convert_source(ConvertRequest("auto", DATASETS / "createml" / "sample", tmp_path / "out"))
    assert conversion_lines(result)[0].endswith("(from createml: valid/_annotations.createml.json has its keys)")
    assert "train" in result.counts


def test_auto__offers_the_folder_a_level_below_and_names_the_candidates(tmp_path: Path) -> None:
    shutil.copytree(DATASETS / "datumaro" / "sample", tmp_path / "set" / "sample")
    with pytest.raises(InputError, match=r"FORMAT_UNKNOWN.*give .*set/sample, which is datumaro .*convert NAME"):
        convert_source(ConvertRequest("auto", tmp_path / "set", tmp_path / "out"))
    several = DATASETS / "tju" / "sample"
    with pytest.raises(InputError, match=r"FORMAT_UNKNOWN.*name the format with convert NAME; it may be coco, darwin"):
        convert_source(ConvertRequest("auto", several, tmp_path / "out"))


def test_auto__takes_the_one_published_set_beside_hints_of_tools(tmp_path: Path) -> None:
    request = ConvertRequest("auto", DATASETS / "dfg" / "sample", tmp_path / "out")
    assert conversion_lines(convert_source(request))[0].endswith("(from dfg: it holds DFG-tsd-annot-json/train.json)")


def test_list__names_every_format_with_the_options_of_its_reader() -> None:
    lines = format_lines()
    assert [line.partition(":")[0] for line in lines if not line.startswith(" ")] == sorted(READERS)
    assert "  options: anchor=center units= allow_missing=false images= missing_images=error" in lines


@pytest.mark.parametrize("name", ["bdd100k", "cure_tsd", "darknet"])
def test_auto__takes_no_folder_for_yolo_that_holds_the_one_of_another_set(name: str, tmp_path: Path) -> None:
    shutil.copytree(DATASETS / name / "sample", tmp_path / "above" / "set")
    with pytest.raises(InputError, match=rf"give .*above/set, which is {name} "):
        convert_source(ConvertRequest("auto", tmp_path / "above", tmp_path / "out"))
