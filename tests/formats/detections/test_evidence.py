"""What a layout leaves open: boxes of another form, scores elsewhere and classes numbered otherwise are seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.choices import BoxForm, ClassNumbers
from detect_transfer.core.errors import InputError
from detect_transfer.formats.detections.names import KnownNames
from detect_transfer.formats.detections.reader import read_detections
from detect_transfer.formats.detections.resolve import DetectionOptions

SIZE_WH = (640, 480)
CLASSES = ("stop", "yield", "bus", "tram")
N_IMAGES = 6


def make_truth(category_ids: Sequence[int] = (1, 2, 3, 4)) -> AnnotationTable:
    """Return images with three boxes each, of all classes in turn."""
    rng = np.random.default_rng(5)
    corners = rng.uniform((20, 20), (400, 300), (3 * N_IMAGES, 2))
    sizes = rng.uniform(20, 160, (3 * N_IMAGES, 2))
    xyxy = np.concatenate([corners, corners + sizes], axis=1)
    return AnnotationTable.from_columns(
        images={
            "image_id": range(1, N_IMAGES + 1),
            "file_name": [f"val/{i:06}.jpg" for i in range(1, N_IMAGES + 1)],
            "width": [SIZE_WH[0]] * N_IMAGES,
            "height": [SIZE_WH[1]] * N_IMAGES,
        },
        boxes={
            "annotation_id": range(1, 3 * N_IMAGES + 1),
            "image_id": [i for i in range(1, N_IMAGES + 1) for _ in range(3)],
            "category_id": [category_ids[i % len(CLASSES)] for i in range(3 * N_IMAGES)],
            **{name: xyxy[:, i] for i, name in enumerate(XYXY)},
        },
        categories={"category_id": category_ids, "name": CLASSES},
    )


def rows_of(truth: AnnotationTable) -> pl.DataFrame:
    """Return a perfect detection of each box, with class index, score and sizes."""
    order = truth.categories["category_id"].sort().to_list()
    scores = [0.95 - 0.05 * (i % 13) for i in range(truth.boxes.height)]
    return truth.boxes.with_columns(
        index=pl.col("category_id").replace_strict(order, range(len(order)), return_dtype=pl.Int64),
        score=pl.Series(scores),
        w=pl.col("x2") - pl.col("x1"),
        h=pl.col("y2") - pl.col("y1"),
    ).join(truth.images.select("image_id", "file_name"), on="image_id")


Box = Callable[[dict[str, float]], list[float]]
FORMS: dict[BoxForm, Box] = {
    BoxForm.XYXY: lambda r: [r["x1"], r["y1"], r["x2"], r["y2"]],
    BoxForm.XYWH: lambda r: [r["x1"], r["y1"], r["w"], r["h"]],
    BoxForm.CXCYWH: lambda r: [r["x1"] + r["w"] / 2, r["y1"] + r["h"] / 2, r["w"], r["h"]],
}
for _form in tuple(FORMS):
    FORMS[BoxForm(f"{_form.value}-norm")] = lambda r, box=FORMS[_form]: [
        v / s for v, s in zip(box(r), SIZE_WH * 2, strict=True)
    ]


def write_coco(path: Path, truth: AnnotationTable, form: BoxForm, *, start: int | None = None, **names: bool) -> Path:
    """Write perfect detections as COCO results, with class numbers from `start` or else ids."""
    entries = []
    for row in rows_of(truth).iter_rows(named=True):
        number = row["category_id"] if start is None else row["index"] + start
        entry = {"image_id": row["image_id"], "category_id": number, "bbox": FORMS[form](row), "score": row["score"]}
        if names.get("publisher"):
            entry |= {"image_id": int(Path(row["file_name"]).stem), "file_name": Path(row["file_name"]).name}
        entries.append(entry)
    path.write_text(json.dumps(entries))
    return path


def write_texts(folder: Path, truth: AnnotationTable, form: BoxForm, *, score_last: bool, words: bool = False) -> Path:
    """Write perfect detections as a text an image."""
    folder.mkdir()
    for (name,), part in rows_of(truth).group_by("file_name", maintain_order=True):
        lines = []
        for row in part.iter_rows(named=True):
            box, score = [f"{v:.6f}" for v in FORMS[form](row)], [f"{row['score']:.6f}"]
            label = CLASSES[row["index"]] if words else str(row["index"])
            lines.append(" ".join([label, *(box + score if score_last else score + box)]))
        (folder / f"{Path(str(name)).stem}.txt").write_text("\n".join(lines) + "\n")
    return folder


def check_perfect(path: Path, truth: AnnotationTable, options: DetectionOptions | None = None) -> tuple[str, ...]:
    """Check that the detections are the boxes of the truth; return how they were read."""
    found = read_detections(path, truth, options)
    columns = ["image_id", "category_id", *XYXY]
    assert_frame_equal(
        found.rows.select(columns).sort(columns), truth.boxes.select(columns).sort(columns), abs_tol=0.01
    )
    return found.reading


@pytest.mark.parametrize(
    ("form", "words"),
    [
        pytest.param(BoxForm.XYXY, r"18 boxes leave their images .*--box-form xyxy;", id="corners"),
        pytest.param(BoxForm.XYWH_NORM, r"within 2 pixels.*shares .*--box-form xywh-norm;", id="shares"),
        pytest.param(BoxForm.XYXY_NORM, r"within 2 pixels.*shares ", id="corners-in-shares"),
        pytest.param(BoxForm.CXCYWH_NORM, r"within 2 pixels.*shares ", id="centres-in-shares"),
    ],
)
def test_coco__boxes_of_another_form_are_named_and_read_when_named(tmp_path: Path, form: BoxForm, words: str) -> None:
    truth = make_truth()
    path = write_coco(tmp_path / "d.json", truth, form)
    with pytest.raises(InputError, match=rf"DETECTION_BOXES .*d\.json --box-form - .*{words}"):
        read_detections(path, truth)
    check_perfect(path, truth, DetectionOptions(boxes=form))


def test_coco__boxes_that_leave_the_image_a_little_and_small_ones_are_right(tmp_path: Path) -> None:
    truth = make_truth()
    path = tmp_path / "d.json"
    boxes = [[5, 5, 640, 480], [600, 400, 50, 90], [0, 0, 1, 1]]
    path.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": b, "score": 0.5} for b in boxes]))
    assert read_detections(path, truth).rows.height == 3


@pytest.mark.parametrize("form", [BoxForm.XYXY_NORM, BoxForm.CXCYWH_NORM])
def test_csv__shares_are_named(tmp_path: Path, form: BoxForm) -> None:
    truth = make_truth()
    lines = ["file_name,class,x1,y1,x2,y2,score"]
    for row in rows_of(truth).iter_rows(named=True):
        box = FORMS[form](row)
        if form == BoxForm.CXCYWH_NORM:
            box = [min(box[0], box[2] - 0.01), min(box[1], box[3] - 0.01), *box[2:]]
        lines.append(",".join([row["file_name"], CLASSES[row["index"]], *map(str, box), str(row["score"])]))
    path = tmp_path / "d.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"DETECTION_BOXES .*shares of the image"):
        read_detections(path, truth)


@pytest.mark.parametrize("words", [False, True], ids=["numbers", "names"])
@pytest.mark.parametrize("score_last", [True, False], ids=["score-last", "score-second"])
@pytest.mark.parametrize("form", [BoxForm.CXCYWH_NORM, BoxForm.XYXY])
def test_texts__score_and_form_are_seen(tmp_path: Path, form: BoxForm, score_last: bool, words: bool) -> None:
    truth = make_truth((10, 20, 30, 40)) if form == BoxForm.XYXY and not words else make_truth()
    path = write_texts(tmp_path / "texts", truth, form, score_last=score_last, words=words)
    options = DetectionOptions(classes=ClassNumbers.FROM_0) if form == BoxForm.XYXY and not words else None
    (reading, *_) = check_perfect(path, truth, options)
    order = ("cx cy w h", "shares") if form == BoxForm.CXCYWH_NORM else ("x1 y1 x2 y2", "pixels")
    columns = f"class {order[0]} score" if score_last else f"class score {order[0]}"
    assert reading == f"texts read as {columns}, in {order[1]}" + (" of the image" if order[1] == "shares" else "")


def test_texts__class_numbers_from_0_are_asked_for(tmp_path: Path) -> None:
    """0 to 3 where ids are 1 to 4: not all are ids; 1 to 3 alone are, and the boxes say that they mean others."""
    truth = make_truth()
    path = write_texts(tmp_path / "texts", truth, BoxForm.XYXY, score_last=False)
    with pytest.raises(InputError, match=r"DETECTION_UNKNOWN_ID .*--class-numbers from-0"):
        read_detections(path, truth)
    for text in path.glob("*.txt"):
        text.write_text("".join(line + "\n" for line in text.read_text().splitlines() if not line.startswith("0")))
    with pytest.raises(InputError, match=r"CLASS_NUMBERS .*--class-numbers=ids .*give --class-numbers from-0, or ids"):
        read_detections(path, truth)
    found = read_detections(path, truth, DetectionOptions(classes=ClassNumbers.FROM_0))
    assert found.rows["category_id"].unique().sort().to_list() == [2, 3, 4]
    assert "class numbers read as places in the list of classes from 0" in found.reading
    taken = read_detections(path, truth, DetectionOptions(classes=ClassNumbers.IDS))
    assert taken.rows["category_id"].unique().sort().to_list() == [1, 2, 3]


@pytest.mark.parametrize(
    "category_ids",
    [
        pytest.param((1, 2, 3, 4), id="from-1"),
        pytest.param((3, 7, 20, 90), id="sparse"),
        pytest.param((0, 1, 2, 3), id="from-0"),
    ],
)
def test_ultralytics__counts_classes_from_1(tmp_path: Path, category_ids: Sequence[int]) -> None:
    truth = make_truth(category_ids)
    path = write_coco(tmp_path / "predictions.json", truth, BoxForm.XYWH, start=1, publisher=True)
    reading = check_perfect(path, truth)
    assert reading == (() if category_ids[0] == 1 else ("class numbers read as places in the list of classes from 1",))


def test_ultralytics__keeps_the_ids_of_coco(tmp_path: Path) -> None:
    truth = make_truth((1, 13, 27, 90))
    path = write_coco(tmp_path / "predictions.json", truth, BoxForm.XYWH, publisher=True)
    assert check_perfect(path, truth) == ()


def test_explicit_numbers__that_do_not_exist_are_refused(tmp_path: Path) -> None:
    truth = make_truth()
    path = write_coco(tmp_path / "d.json", truth, BoxForm.XYWH)
    with pytest.raises(InputError, match=r"DETECTION_UNKNOWN_ID .*class=4 - .*no places .*from 0"):
        read_detections(path, truth, DetectionOptions(classes=ClassNumbers.FROM_0))


def named(path: Path, changes: dict[int, dict[str, object]]) -> Path:
    """Write results with names, some of them changed."""
    rows = [
        {"image_id": i, "file_name": f"val/{i:06}.jpg", "category_id": 1, "category_name": "stop"} for i in (1, 1, 2)
    ]
    rows = [{**row, "bbox": [1, 1, 30, 30], "score": 0.5, **changes.get(i, {})} for i, row in enumerate(rows)]
    path.write_text(json.dumps([{k: v for k, v in row.items() if v is not None} for row in rows]))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({1: {"file_name": "val/000002.jpg"}}, r"NAMES .*#/1 image=1 - .*000001.*000002", id="two-names"),
        pytest.param({2: {"file_name": "val/000001.jpg"}}, r"NAMES .*#/2 image_name=val/000001", id="two-ids"),
        pytest.param(
            {1: {"category_name": "bus"}},
            r"NAMES .*#/1 category=1 - .*category name 'stop' and with 'bus'",
            id="two-classes",
        ),
        pytest.param({1: {"file_name": None}}, r"RESULTS_ENTRY .*#/1 file_name=\(missing\)", id="not-all"),
        pytest.param({1: {"category_name": 7}}, r"RESULTS_ENTRY .*#/1 category_name=7 - a name", id="no-name"),
        pytest.param(
            {i: {"file_name": f"val/9{i}.jpg", "image_id": i + 1} for i in range(3)}, r"UNKNOWN_ID .*90", id="unknown"
        ),
    ],
)
def test_names__that_contradict_ids_are_refused(
    tmp_path: Path, changes: dict[int, dict[str, object]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read_detections(named(tmp_path / "d.json", changes), make_truth())


@pytest.mark.parametrize("layout", ["coco", "csv", "parquet"])
def test_names__decide_over_ids(tmp_path: Path, layout: str) -> None:
    """The ids of the file are valid ids of other images and classes."""
    truth = make_truth()
    rows = pl.DataFrame(
        {
            "image_id": [2, 1],
            "file_name": ["val/000001.jpg", "val/000002.jpg"],
            "category_id": [2, 1],
            "category_name": ["stop", "yield"],
            "x1": [1.0, 2.0],
            "y1": [1.0, 2.0],
            "x2": [30.0, 40.0],
            "y2": [30.0, 40.0],
            "score": [0.5, 0.75],
        }
    )
    path = tmp_path / f"d.{layout}"
    if layout == "csv":
        rows.write_csv(path)
    elif layout == "parquet":
        rows.write_parquet(path)
    else:
        boxes = [{"bbox": [r["x1"], r["y1"], r["x2"] - r["x1"], r["y2"] - r["y1"]]} for r in rows.to_dicts()]
        kept = rows.drop(XYXY).to_dicts()
        path.write_text(json.dumps([{**row, **box} for row, box in zip(kept, boxes, strict=True)]))
    found = read_detections(path, truth).rows
    assert found["image_id"].to_list() == [1, 2]
    assert found["category_id"].to_list() == [1, 2]


def test_native_ids__are_those_that_official_results_mean(tmp_path: Path) -> None:
    """A reader that had to number again keeps the ids of the files beside its own."""
    truth = make_truth()
    images = truth.images.with_columns(native_image_id=pl.col("image_id") + 500)
    classes = truth.categories.with_columns(native_category_id=pl.Series([4, 3, 2, 1]))
    numbered = AnnotationTable(images, truth.boxes, classes)
    rows = [
        {"image_id": row["image_id"] + 500, "category_id": 5 - row["category_id"], "bbox": FORMS[BoxForm.XYWH](row)}
        for row in rows_of(truth).iter_rows(named=True)
    ]
    path = tmp_path / "official.json"
    path.write_text(json.dumps([{**row, "score": 0.5} for row in rows]))
    found = read_detections(path, KnownNames.of(numbered)).rows
    columns = ["image_id", "category_id", *XYXY]
    assert_frame_equal(found.select(columns).sort(columns), truth.boxes.select(columns).sort(columns))


def test_names__meet_by_as_many_last_parts_as_tell_them_apart(tmp_path: Path) -> None:
    images = make_truth().images.head(2).with_columns(file_name=pl.Series(["images/a/1.jpg", "images/b/1.jpg"]))
    truth = AnnotationTable(images, make_truth().boxes.clear(), make_truth().categories)
    for names in (["a/1.jpg", "b/1.jpg"], ["/data/x/images/a/1.jpg", "/data/x/images/b/1.jpg"]):
        path = tmp_path / "d.csv"
        path.write_text("file_name,class,x1,y1,x2,y2,score\n" + "".join(f"{n},bus,1,1,20,20,.5\n" for n in names))
        assert read_detections(path, truth).rows["image_id"].to_list() == [1, 2]
