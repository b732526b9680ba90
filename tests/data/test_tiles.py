"""Images cut into tiles: what becomes of boxes at the borders, of splits, and of the ledger."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from detect_transfer.cli import main
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.ledger import Ledger
from detect_transfer.core.tiles import Tiling
from detect_transfer.data.tiles import cut_into_tiles


def table_of(boxes: list[tuple[float, float, float, float]], size_wh: tuple[int, int] = (200, 100)) -> AnnotationTable:
    return AnnotationTable.from_columns(
        images={
            "image_id": [7],
            "file_name": ["a.jpg"],
            "width": [size_wh[0]],
            "height": [size_wh[1]],
            "split": ["train"],
        },
        boxes={
            "annotation_id": range(1, len(boxes) + 1),
            "image_id": [7] * len(boxes),
            "category_id": [1] * len(boxes),
            **{name: [box[i] for box in boxes] for i, name in enumerate(("x1", "y1", "x2", "y2"))},
        },
        categories={"category_id": [1], "name": ["sign"]},
    )


@pytest.mark.parametrize(
    ("size_wh", "tiling", "expected"),
    [
        ((100, 80), Tiling(100), [(0, 0, 100, 80)]),
        ((200, 100), Tiling(100, 0.0), [(0, 0, 100, 100), (100, 0, 200, 100)]),
        ((180, 100), Tiling(100, 0.2), [(0, 0, 100, 100), (80, 0, 180, 100)]),
        ((181, 100), Tiling(100, 0.2), [(0, 0, 100, 100), (40, 0, 140, 100), (81, 0, 181, 100)]),
        ((101, 101), Tiling(100, 0.2), [(0, 0, 100, 100), (1, 0, 101, 100), (0, 1, 100, 101), (1, 1, 101, 101)]),
    ],
)
def test_windows__cover_the_image_and_overlap(size_wh, tiling, expected) -> None:
    assert tiling.windows(size_wh) == expected


@pytest.mark.parametrize(("size", "overlap", "flag"), [(8, 0.2, "--tile=8"), (100, 0.95, "--overlap=0.95")])
def test_tiling__out_of_range_is_refused(size, overlap, flag) -> None:
    with pytest.raises(InputError, match=f"OPTION {flag}"):
        Tiling(size, overlap)


def test_boxes__at_a_border_are_cut_or_ignored_by_their_share() -> None:
    ledger = Ledger()
    whole, cut, apart = (10.0, 10.0, 30.0, 30.0), (90.0, 40.0, 103.0, 60.0), (150.0, 0.0, 160.0, 10.0)
    tiles = cut_into_tiles(table_of([whole, cut, apart]), Tiling(100, 0.0), ledger)
    assert tiles.images.select("file_name", "width", "height", "group", "tile_of", "tile_x", "split").rows() == [
        ("a.jpg", 100, 100, "a.jpg", "a.jpg", 0, "train"),
        ("a.jpg", 100, 100, "a.jpg", "a.jpg", 100, "train"),
    ]
    rows = tiles.boxes.select("image_id", "x1", "y1", "x2", "y2", "ignore", "ignore_reason", "truncated").rows()
    assert rows == [
        (1, *whole, False, None, None),
        (1, 90.0, 40.0, 100.0, 60.0, False, None, pytest.approx(3 / 13)),
        (2, 0.0, 40.0, 3.0, 60.0, True, "23 % of it in this tile", pytest.approx(10 / 13)),
        (2, 50.0, 0.0, 60.0, 10.0, False, None, None),
    ]
    step = ledger.steps[-1]
    assert (step.images_in, step.images_out, step.boxes_in, step.boxes_out) == (1, 2, 3, 4)


def test_boxes__are_whole_in_some_tile_where_the_overlap_is_as_wide() -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 380, (60, 2))
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(corners, random.uniform(2, 20, (60, 2)), strict=True)]
    tiles = cut_into_tiles(table_of(boxes, (400, 400)), Tiling(100, 0.2), Ledger())
    shift = tiles.images.select("image_id", "tile_x", "tile_y")
    back = tiles.boxes.filter(~pl.col("ignore")).join(shift, on="image_id")
    seen = {
        tuple(
            round(row[c] + row[o], 6) for c, o in zip(("x1", "y1", "x2", "y2"), ("tile_x", "tile_y") * 2, strict=True)
        )
        for row in back.iter_rows(named=True)
    }
    assert {tuple(round(value, 6) for value in box) for box in boxes} <= seen


def test_an_image_no_larger_than_a_tile__stays_as_it_is() -> None:
    tiles = cut_into_tiles(table_of([(1.0, 1.0, 5.0, 5.0)], (100, 50)), Tiling(100), Ledger())
    assert tiles.images.select("width", "height", "group", "tile_of").row(0) == (100, 50, None, None)
    assert not tiles.boxes["ignore"].any()


def test_convert__writes_tiles_of_one_image_into_one_split_and_the_ledger_balances(
    tmp_path: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def convert(name: str, *words: str) -> int:
        with pytest.raises(SystemExit) as left:
            main(["convert", "coco", str(tiny_data / "annotations"), "--out", str(tmp_path / name), *words])
        return int(left.value.code or 0)

    images = ("--option", f"images={tiny_data / 'images'}")
    assert (
        convert("tiles", *images, "--tile", "64", "--overlap", "0.3", "--check", "--split-ratio", "train=0.7,val=0.3")
        == 0
    )
    shown = capsys.readouterr().out
    assert "(tiles): a further tile of an image" in shown
    documents = [json.loads(path.read_text()) for path in (tmp_path / "tiles" / "annotations").glob("instances_*.json")]
    groups = [{image["group"] for image in document["images"]} for document in documents]
    assert len(groups) == 2
    assert not groups[0] & groups[1], "tiles of an image are in one split"
    first = documents[0]["images"][0]
    written = np.asarray(Image.open(tmp_path / "tiles" / "images" / first["split"] / first["file_name"]))
    source = np.asarray(Image.open(tiny_data / "images" / first["tile_of"]))
    x, y = first["tile_x"], first["tile_y"]
    np.testing.assert_array_equal(written, source[y : y + 64, x : x + 64])
    ledger = json.loads((tmp_path / "tiles" / "ledger.json").read_text())
    assert next(step for step in ledger["steps"] if step["step"] == "tiles")["images_out"] == 4 * 38
    assert convert("linked", *images, "--tile", "64", "--image-mode", "link", "--to", "coco") == 0
    assert len([*(tmp_path / "linked" / "images").rglob("*.png")]) == 4 * 38
    for words, message in (
        (("--overlap", "0.3"), "USAGE --overlap=0.3 - it is of tiles"),
        (("--tile", "64", "--image-mode", "none"), "OPTION tiling=64 - tiles are images"),
        (("--tile", "64", "--tile-share", "0"), "OPTION --tile-share=0"),
    ):
        assert convert("wrong", *images, *words) == 2
        assert message in capsys.readouterr().err


def test_sixteen_bits__stay_in_tiles(tmp_path: Path) -> None:
    from detect_transfer import convert

    values = np.random.default_rng(0).integers(0, 65535, (64, 128), dtype=np.uint16)
    (tmp_path / "images").mkdir()
    Image.fromarray(values).save(tmp_path / "images" / "a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 128, "height": 64}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20], "area": 400, "iscrowd": 0}],
        "categories": [{"id": 1, "name": "sign"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(document))
    convert(tmp_path / "instances.json", tmp_path / "out", format="coco", tiling=Tiling(64, 0.0), split={"train": 1.0})
    tiles = sorted((tmp_path / "out" / "images").rglob("*.png"))
    np.testing.assert_array_equal(np.hstack([np.asarray(Image.open(path)) for path in tiles]), values)
