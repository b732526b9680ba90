"""Drawings: distinct, never changing their input, and with tags that leave small boxes free."""

import time
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from detect_transfer.core import video as media
from detect_transfer.core.annotations import Detections
from detect_transfer.core.boxes import intersection
from detect_transfer.core.errors import InternalError
from detect_transfer.core.images import read_rgb
from detect_transfer.evaluation import match
from detect_transfer.report import drawings
from detect_transfer.report.drawings import KINDS, Mark, contact_sheet, draw_marks, marks_of
from detect_transfer.report.image_reading import read_all
from detect_transfer.report.labels import place_tags
from detect_transfer.report.render import DrawPlan, output_names, render, render_predictions


def grey_image(height=200, width=300):
    return np.full((height, width, 3), 128, np.uint8)


def test_kinds__differ_in_colour_name_and_line():
    assert len({k.rgb for k in KINDS.values()}) == len(KINDS)
    assert len({k.short for k in KINDS.values()}) == len(KINDS)
    compared = [KINDS[name] for name in ("truth", "tp", "fn", "fp", "ignored")]
    assert len({(k.width, k.dashes) for k in compared}) == len(compared)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_draw_marks__names_have_contrast(kind, monkeypatch):
    monkeypatch.setattr(drawings, "place_tags", lambda *_: np.array([[100.0, 100.0, 220.0, 118.0]]))
    drawn = draw_marks(grey_image(400, 900), [Mark((400, 200, 440, 240), kind, "speed limit")], legend=False)
    share = drawn[102:116, 104:216] / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    light = linear @ [0.2126, 0.7152, 0.0722]
    assert (light.max() + 0.05) / (light.min() + 0.05) > 4.5


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_draw_marks__shows_its_colour_around_the_box_and_leaves_the_inside(kind):
    image = grey_image(1000, 1000)
    drawn = draw_marks(image, [Mark((400, 400, 440, 440), kind)], legend=False)
    assert drawn.shape == image.shape
    assert (drawn[400:440, 400:440] == 128).all()
    assert (drawn[390:450, 390:450] == KINDS[kind].rgb).all(axis=2).any()
    assert (image == 128).all()


def test_draw_marks__small_images_are_enlarged_and_a_legend_is_added():
    drawn = draw_marks(grey_image(50, 100), [Mark((10, 10, 20, 20), "tp", "stop 0.90")])
    assert drawn.shape[1] == 800
    assert drawn.shape[0] > 400
    assert draw_marks(grey_image(50, 100), [], legend=False).shape == (400, 800, 3)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((0, 0, 300, 200), id="whole-image"),
        pytest.param((-50, -50, 10, 10), id="partly-outside"),
        pytest.param((400, 400, 500, 500), id="outside"),
        pytest.param((10, 10, 10, 10), id="empty"),
    ],
)
def test_draw_marks__odd_boxes(box):
    assert draw_marks(grey_image(), [Mark(box, "fn", "x" * 50)]).dtype == np.uint8


def test_draw_marks__unknown_kind_is_a_bug_of_ours():
    with pytest.raises(InternalError, match="DRAWING_KIND"):
        draw_marks(grey_image(), [Mark((0, 0, 1, 1), "other")])


def test_draw_marks__hostile_names(hostile):
    for name in hostile:
        rows = pl.DataFrame({"category_id": [1], "x1": [5.0], "y1": [5.0], "x2": [9.0], "y2": [9.0], "status": ["fn"]})
        draw_marks(grey_image(60, 60), marks_of(rows, rows.clear().with_columns(score=pl.lit(0.5)), {1: name}))


def test_place_tags__keeps_small_boxes_and_other_tags_free():
    rng = np.random.default_rng(0)
    corner = rng.uniform(50, 850, (12, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(8, 40, (12, 2))], axis=1)
    tags = place_tags(boxes, [(90, 18)] * 12, (1000, 1000))
    assert intersection(tags, boxes).sum() == 0
    between = intersection(tags, tags)
    np.fill_diagonal(between, 0)
    assert between.sum() == 0
    assert tags.min() >= 0
    assert tags.max() <= 1000


@pytest.mark.parametrize("at", [(300, 220), (4, 4), (560, 440)], ids=["middle", "first-corner", "last-corner"])
def test_place_tags__ten_tiny_boxes_close_together(at):
    """No tag lies on a box, its outline or another tag, all are within the drawing, and no line crosses a box."""
    corner = np.array(at) + [[16 * (i % 5), 16 * (i // 5)] for i in range(10)]
    boxes = np.concatenate([corner, corner + 8], axis=1).astype(float)
    tags = place_tags(boxes, [(120, 18)] * 10, (640, 480))
    assert intersection(tags, boxes + np.array([-2, -2, 2, 2])).sum() == 0
    between = intersection(tags, tags)
    np.fill_diagonal(between, 0)
    assert between.sum() == 0
    assert (tags >= 0).all()
    assert (tags[:, [0, 2]] <= 640).all()
    assert (tags[:, [1, 3]] <= 480).all()


def test_draw_marks__no_line_crosses_a_name(monkeypatch):
    tags = []
    monkeypatch.setattr(drawings, "place_tags", lambda *given: tags.append(place_tags(*given)) or tags[0])
    kinds = ["fn", "tp", "fp", "truth", "ignored"] * 2
    corner = [(300 + 16 * (i % 5), 220 + 15 * (i // 5)) for i in range(10)]
    marks = [Mark((x, y, x + 9, y + 9), kind, "speed limit") for (x, y), kind in zip(corner, kinds, strict=True)]
    drawn = draw_marks(grey_image(480, 960), marks, legend=False)
    assert len(tags[0]) == 10
    for left, top, right, _ in tags[0].astype(int):
        above_letters = drawn[top + 2, left + 2 : right - 2]
        assert len(np.unique(above_letters, axis=0)) == 1


def test_contact_sheet__any_number_and_size():
    assert contact_sheet([], 3, cell_wh=(10, 10)).shape == (22, 22, 3)
    sheet = contact_sheet([grey_image(5, 900), grey_image(900, 5), grey_image(1, 1)], 2, cell_wh=(60, 40))
    assert sheet.shape == (98, 138, 3)


def test_render__writes_each_image_once(make_scene, tmp_path):
    truth, detections = make_scene(["stop", "yield"])
    written = render_predictions(truth, detections, truth.image_root, tmp_path / "out", limit=4)
    assert [p.name for p in written] == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert all(p.read_bytes()[:2] == b"\xff\xd8" for p in written)
    assert render_predictions(truth, None, truth.image_root, tmp_path / "truth", limit=1)
    assert render_predictions(truth, Detections.empty(), truth.image_root, tmp_path / "none", limit=1)


def test_render__without_truth_detections_are_no_false_positives(make_scene, tmp_path, monkeypatch):
    truth, detections = make_scene(["stop"])
    kinds = []
    monkeypatch.setattr(
        "detect_transfer.report.render.marks_of",
        lambda here, seen, names: (kinds.append(seen.columns), [])[1],
    )
    render_predictions(truth.with_boxes(truth.boxes.clear()), detections, truth.image_root, tmp_path / "out", limit=1)
    assert "status" not in kinds[0]


def test_render__contact_sheets_hold_so_many_images(make_scene, tmp_path):
    truth, detections = make_scene(["stop", "yield"], n_images=5)
    written = render(truth, detections, tmp_path / "out", plan=DrawPlan(sheet=2))
    assert [p.name for p in written] == ["sheet_0001.jpg", "sheet_0002.jpg", "sheet_0003.jpg"]
    widths = [read_rgb(path).shape[1] for path in written]
    assert widths[0] == widths[1] == 2 * widths[2] - 6  # two images beside each other, then one; gaps of 6


def test_render__a_video_for_each_sequence_in_order(make_scene, tmp_path):
    """Frames of a folder become a video; drawn again from it, by the names of its frames, they keep their order."""
    truth, _ = make_scene(["stop"], n_images=6)
    grey = [np.full((120, 160, 3), 40 * i, np.uint8) for i in range(1, 7)]
    for i, image in enumerate(grey, start=1):
        Image.fromarray(image).save(truth.image_root / f"{i}.png")
    nothing = truth.with_boxes(truth.boxes.clear())
    (video,) = render(nothing, None, tmp_path / "out", plan=DrawPlan(fps=5.0))
    assert video.name == "all.mp4"
    seen = [float(frame[100:500, 100:500].mean()) for frame in media.frames(video)]
    assert len(seen) == 6
    assert np.allclose(seen, [40 * i for i in range(1, 7)], atol=6)
    names = [media.frame_name("out/all.mp4", n) for n in (4, 1, 2)]
    images = truth.images.head(3).with_columns(file_name=pl.Series(names))
    again = replace(nothing, images=images, image_root=tmp_path)
    (other,) = render(again, Detections.empty(), tmp_path / "again", plan=DrawPlan(fps=5.0))
    assert other.relative_to(tmp_path).as_posix() == "again/out/all.mp4"
    seen = [float(frame[100:500, 100:500].mean()) for frame in media.frames(other)]
    assert np.allclose(seen, [80, 120, 200], atol=8)


def test_render__frames_of_two_videos_keep_their_rows(make_scene, tmp_path, monkeypatch):
    rows = [("a.mp4", 3), ("a.mp4", 5), ("b.mp4", 0), ("a.mp4", 1)]
    images = pl.DataFrame({"image_id": [1, 2, 3, 4], "file_name": [media.frame_name(*row) for row in rows]})
    monkeypatch.setattr(
        "detect_transfer.report.image_reading.frames_at",
        lambda path, numbers: ((n, np.full((2, 2, 3), n, np.uint8)) for n in sorted(numbers)),
    )
    read = [(image_id, int(image[0, 0, 0])) for image_id, image in read_all(images, tmp_path)]
    assert read == [(1, 3), (2, 5), (3, 0), (4, 1)]


def test_output_names__two_that_differ_by_their_suffix():
    assert output_names(["a/1.png", "a/1.ppm", "2.JPG"]) == ["a/1.png.jpg", "a/1.ppm.jpg", "2.jpg"]


def test_marks_of__inputs_are_not_changed(make_scene):
    truth, detections = make_scene(["stop"])
    matches = match(truth, detections)
    before = matches.truth.clone(), matches.detections.clone()
    draw_marks(grey_image(120, 160), marks_of(matches.truth, matches.detections, {1: "stop"}))
    assert matches.truth.equals(before[0], null_equal=True)
    assert matches.detections.equals(before[1], null_equal=True)


def test_draw_marks__hundreds_of_boxes_at_one_place_take_no_minutes() -> None:
    marks = [Mark((10.0, 10.0, 30.0, 25.0), "fp", f"car {i}") for i in range(500)]
    began = time.process_time()
    assert draw_marks(np.zeros((48, 64, 3), np.uint8), marks).ndim == 3
    assert time.process_time() - began < 5
