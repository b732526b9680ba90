from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detect_transfer.formats.traffic_lights import lisa_lights

BOX = "Annotations/Annotations/dayTrain/dayClip1/frameAnnotationsBOX.csv"


def test_target__chooses_the_file(sample: Any) -> None:
    root = sample("lisa_lights")
    boxes = lisa_lights.read(root, target="bulb").boxes
    assert boxes.select("x1", "y1", "x2", "y2").rows() == [(21, 5, 25, 9)]
    check = lisa_lights.read(root, target="bulb", inclusive=True).boxes
    assert check.select("x2", "y2").rows() == [(26, 10)]


def test_group__is_the_clip_and_samples_share_it(sample: Any) -> None:
    images = lisa_lights.read(sample("lisa_lights")).images
    assert images["group"].to_list() == ["dayClip1", "dayClip1", "nightSequence1", "dayClip1"]


def test_fault__names_file_and_line_and_skips_the_frame(sample: Any, check_error: Any) -> None:
    root = sample("lisa_lights")
    path = root / BOX
    path.write_text(path.read_text() + "dayTraining/dayClip1--00001.jpg;stop;20\n")
    check_error(lambda: lisa_lights.read(root), "ROW_COLUMNS", f"{path}:5 ", "found 3 fields, expected 10")
    names = lisa_lights.read(root, on_error="skip-image").images["file_name"].to_list()
    assert not any(name.endswith("/dayTrain/dayClip1/frames/dayClip1--00001.jpg") for name in names)
    assert len(names) == 3


def test_frame__that_is_absent(sample: Any, check_error: Any) -> None:
    root = sample("lisa_lights")
    for image in root.rglob("dayClip1--00000.jpg"):
        image.unlink()
    check_error(lambda: lisa_lights.read(root), "IMAGE_MISSING", f"{root / BOX}:2 ", "dayClip1/frames/dayClip1--00000")
    kept = lisa_lights.read(root, missing_images="keep").images
    assert "dayClip1/frames/dayClip1--00000.jpg" in kept["file_name"].to_list()


def test_folder__without_annotations_or_with_two(tmp_path: Path, write: Any, check_error: Any) -> None:
    check_error(lambda: lisa_lights.read(tmp_path), "FILE_MISSING", "frameAnnotationsBOX.csv")
    for folder in ("one", "two"):
        write(f"{folder}/dayClip1/frameAnnotationsBOX.csv")
    check_error(lambda: lisa_lights.read(tmp_path), "ID_DUPLICATE", "clips of one name")
    check_error(lambda: lisa_lights.read(tmp_path, target="no"), "OPTION_VALUE", "target=no")


@pytest.mark.parametrize("name", ["clip", "one_clip"])
def test_annotations__in_the_root_have_frames_beside_them(name: str, write: Any, sample: Any, tmp_path: Path) -> None:
    text = (sample("lisa_lights") / BOX).read_text()
    root = tmp_path / name
    write(f"{name}/frameAnnotationsBOX.csv", text)
    write(f"{name}/frames/dayClip1--00000.jpg", (64, 48))
    images = lisa_lights.read(root).images
    assert images.select("file_name", "split", "group").rows() == [("frames/dayClip1--00000.jpg", None, None)]
