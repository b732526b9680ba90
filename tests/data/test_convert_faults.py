"""What users do to a conversion: images at fault, a target inside the source."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from paths import DATASETS
from PIL import Image

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError, ProblemsError
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.formats.tools import labelme

OPTIONS = ConvertOptions(format="test", split={"train": 1.0})


def make(root: Path) -> AnnotationTable:
    """Four images, each with a box, and a second box in the first."""
    for i in range(1, 5):
        Image.new("RGB", (30, 20), (40 * i, 0, 0)).save(root / f"{i}.png")
    ids = [1, 1, 2, 3, 4]
    return AnnotationTable.from_columns(
        images={"image_id": [1, 2, 3, 4], "file_name": [f"{i}.png" for i in (1, 2, 3, 4)]},
        boxes={
            "annotation_id": [1, 2, 3, 4, 5],
            "image_id": ids,
            "category_id": [1] * 5,
            **dict(zip(("x1", "y1", "x2", "y2"), ([1.0, 2, 3, 4, 5], [1.0] * 5, [9.0] * 5, [9.0] * 5), strict=True)),
        },
        categories={"category_id": [1], "name": ["sign"]},
        image_root=root,
    )


def test_convert__skips_images_at_fault_where_it_is_asked_to(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    table = make(source)
    (source / "1.png").write_bytes((source / "1.png").read_bytes()[:60])
    (source / "3.png").unlink()
    with pytest.raises(ProblemsError, match="IMAGE_TRUNCATED"):
        convert(table, tmp_path / "out", options=OPTIONS)
    result = convert(table, tmp_path / "out", options=replace(OPTIONS, on_error="skip-image"))
    assert sorted(result.table.images["image_id"]) == [2, 4]
    step = json.loads((tmp_path / "out" / "ledger.json").read_text())["steps"][1]
    assert [(line["kind"], line["action"], line["count"]) for line in step["lines"]] == [
        ("image", "dropped", 2),
        ("box", "dropped", 3),
    ]
    assert [example.split()[0] for example in step["lines"][0]["examples"]] == ["IMAGE_TRUNCATED", "IMAGE_MISSING"]


def test_convert__tells_that_every_image_is_at_fault(tmp_path: Path) -> None:
    table = make(tmp_path)
    for image in tmp_path.glob("*.png"):
        image.write_bytes(b"")
    with pytest.raises(InputError, match=r"IMAGES_NONE .*IMAGE_EMPTY"):
        convert(table, tmp_path / "out", options=replace(OPTIONS, on_error="skip-image"))
    assert not (tmp_path / "out").exists()


def test_convert__into_its_own_source_leaves_the_next_one_as_it_is(tmp_path: Path) -> None:
    source = shutil.copytree(DATASETS / "labelme" / "sample", tmp_path / "source")
    first, second = (convert(labelme.read(source), source / name, options=OPTIONS) for name in ("a", "b"))
    assert first.counts == second.counts
    assert first.table.images.equals(second.table.images)


def test_convert__refuses_a_source_without_images(tmp_path: Path) -> None:
    empty = AnnotationTable.from_columns(images={}, boxes={}, categories={}, image_root=tmp_path)
    with pytest.raises(InputError, match="IMAGES_NONE"):
        convert(empty, tmp_path / "out", options=replace(OPTIONS, image_mode="none"))
    assert not (tmp_path / "out").exists()
