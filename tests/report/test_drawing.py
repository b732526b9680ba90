"""Drawings: told apart, never changing their input, and with tags that leave small boxes free."""

import numpy as np
import polars as pl
import pytest

from detect_transfer.boxes import intersection
from detect_transfer.errors import InternalError
from detect_transfer.evaluation import match
from detect_transfer.report.drawing import KINDS, Mark, contact_sheet, draw_marks, draw_matches
from detect_transfer.report.labels import place_tags
from detect_transfer.report.render import output_names, render_predictions
from detect_transfer.table import Detections


def picture(height=200, width=300):
    return np.full((height, width, 3), 128, np.uint8)


def test_kinds__differ_in_colour_and_letter_and_line():
    assert len({k.rgb for k in KINDS.values()}) == len(KINDS)
    assert len({k.letter for k in KINDS.values()}) == len(KINDS)
    compared = [KINDS[name] for name in ("truth", "hit", "miss", "false_alarm", "ignored")]
    assert len({(k.width, k.dashes) for k in compared}) == len(compared)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_draw_marks__shows_its_colour_around_the_box_and_leaves_the_inside(kind):
    image = picture(1000, 1000)
    drawn = draw_marks(image, [Mark((400, 400, 440, 440), kind)], legend=False)
    assert drawn.shape == image.shape
    assert (drawn[400:440, 400:440] == 128).all()
    assert (drawn[390:450, 390:450] == KINDS[kind].rgb).all(axis=2).any()
    assert (image == 128).all()


def test_draw_marks__small_pictures_are_enlarged_and_a_legend_is_added():
    drawn = draw_marks(picture(50, 100), [Mark((10, 10, 20, 20), "hit", "stop 0.90")])
    assert drawn.shape[1] == 800
    assert drawn.shape[0] > 400
    assert draw_marks(picture(50, 100), [], legend=False).shape == (400, 800, 3)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param((0, 0, 300, 200), id="whole-picture"),
        pytest.param((-50, -50, 10, 10), id="partly-outside"),
        pytest.param((400, 400, 500, 500), id="outside"),
        pytest.param((10, 10, 10, 10), id="empty"),
    ],
)
def test_draw_marks__odd_boxes(box):
    assert draw_marks(picture(), [Mark(box, "miss", "x" * 50)]).dtype == np.uint8


def test_draw_marks__unknown_kind_is_a_bug_of_ours():
    with pytest.raises(InternalError, match="DRAWING_KIND"):
        draw_marks(picture(), [Mark((0, 0, 1, 1), "other")])


def test_draw_marks__hostile_names(hostile):
    for name in hostile:
        rows = pl.DataFrame(
            {"category_id": [1], "x1": [5.0], "y1": [5.0], "x2": [9.0], "y2": [9.0], "status": ["miss"]}
        )
        draw_matches(picture(60, 60), rows, rows.clear().with_columns(score=pl.lit(0.5)), {1: name})


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


def test_contact_sheet__any_number_and_size():
    assert contact_sheet([], 3, cell_wh=(10, 10)).shape == (22, 22, 3)
    sheet = contact_sheet([picture(5, 900), picture(900, 5), picture(1, 1)], 2, cell_wh=(60, 40))
    assert sheet.shape == (98, 138, 3)


def test_render__writes_each_picture_once(make_scene, tmp_path):
    truth, found = make_scene(["stop", "yield"])
    written = render_predictions(truth, found, truth.image_root, tmp_path / "out", limit=4)
    assert [p.name for p in written] == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert all(p.read_bytes()[:2] == b"\xff\xd8" for p in written)
    assert render_predictions(truth, None, truth.image_root, tmp_path / "truth", limit=1)
    assert render_predictions(truth, Detections.empty(), truth.image_root, tmp_path / "none", limit=1)


def test_render__without_truth_detections_are_no_false_alarms(make_scene, tmp_path, monkeypatch):
    truth, found = make_scene(["stop"])
    kinds = []
    monkeypatch.setattr(
        "detect_transfer.report.render.draw_matches",
        lambda image, here, seen, names: (kinds.append(seen.columns), image)[1],
    )
    render_predictions(truth.with_boxes(truth.boxes.clear()), found, truth.image_root, tmp_path / "out", limit=1)
    assert "status" not in kinds[0]


def test_output_names__two_that_differ_by_their_suffix():
    assert output_names(["a/1.png", "a/1.ppm", "2.JPG"]) == ["a/1.png.jpg", "a/1.ppm.jpg", "2.jpg"]


def test_draw_matches__inputs_are_not_changed(make_scene):
    truth, found = make_scene(["stop"])
    matches = match(truth, found)
    before = matches.truth.clone(), matches.detections.clone()
    draw_matches(picture(120, 160), matches.truth, matches.detections, {1: "stop"})
    assert matches.truth.equals(before[0], null_equal=True)
    assert matches.detections.equals(before[1], null_equal=True)
