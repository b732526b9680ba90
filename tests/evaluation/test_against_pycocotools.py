"""The twelve numbers against pycocotools on 1,000 cases that Hypothesis makes up to break them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation import METRIC_NAMES, coco_metrics

IMAGES, CLASSES = (3, 8, 9), (0, 2, 5)
# steps of 4 px make equal overlaps and overlaps of exactly one half; 32 and 96 px are the borders of COCO's sizes
CORNER = st.integers(0, 20).map(lambda step: 4.0 * step)
SIDE = st.sampled_from([0.0, 4.0, 8.0, 16.0, 32.0, 40.0, 64.0, 96.0, 128.0])
SHIFT = st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.7, 4.0, 8.0])
SCORE = st.sampled_from([0.0, 0.2, 0.5, 0.5, 0.9, 1.0])

OBJECT = st.tuples(
    st.sampled_from(IMAGES),
    st.sampled_from(CLASSES[:2]),  # one class never has an object
    st.tuples(CORNER, CORNER, SIDE, SIDE),
    st.sampled_from(["", "", "", "", "crowd", "ignore", "both", "every class"]),
    st.one_of(st.none(), st.sampled_from([0.0, 1024.0, 1025.0, 9216.0, 20_000.0])),  # the area that is given
)
NEAR = st.tuples(st.integers(0, 30), SHIFT, SHIFT, st.sampled_from(CLASSES), st.booleans(), SCORE)
ANYWHERE = st.tuples(st.sampled_from(IMAGES), st.sampled_from(CLASSES), st.tuples(CORNER, CORNER, SIDE, SIDE), SCORE)


def corners(x, y, width, height):
    return {"x1": x, "y1": y, "x2": x + width, "y2": y + height}


def table_of(objects):
    rows = [
        {
            "annotation_id": i,  # 0 is among them
            "image_id": image,
            "category_id": None if flag == "every class" else category,
            **corners(*box),
            "iscrowd": flag in ("crowd", "both"),
            "ignore": flag in ("ignore", "both", "every class"),
            "area": area,
        }
        for i, (image, category, box, flag, area) in enumerate(objects)
    ]
    return AnnotationTable.from_columns(
        images={"image_id": IMAGES, "file_name": [f"{i}.png" for i in IMAGES]},
        boxes={name: [row[name] for row in rows] for name in rows[0]} if rows else {},
        categories={"category_id": CLASSES, "name": [f"c{i}" for i in CLASSES]},
    )


def found_of(objects, near, anywhere, crowd_of):
    """Detections at objects and elsewhere; `crowd_of` is how many more there are of one class in one image."""
    rows = [(image, category, box, score) for image, category, box, score in anywhere]
    for index, shift, more, category, same, score in near:
        if objects:
            image, own, (x, y, width, height), _, _ = objects[index % len(objects)]
            rows.append((image, own if same else category, (x + shift, y, width + more, height), score))
    rows += [(IMAGES[0], CLASSES[0], (4.0 * (i % 7), 0.0, 16.0, 16.0), 0.5) for i in range(crowd_of)]
    columns = [{"image_id": i, "category_id": c, **corners(*b), "score": s} for i, c, b, s in rows]
    return Detections.from_columns({n: [r[n] for r in columns] for n in columns[0]}) if columns else Detections.empty()


@settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(
    objects=st.lists(OBJECT, max_size=8),
    near=st.lists(NEAR, max_size=12),
    anywhere=st.lists(ANYWHERE, max_size=4),
    crowd_of=st.sampled_from([0, 0, 0, 0, 0, 12, 105]),
    policy=st.sampled_from(["region", "strict"]),
)
def test_coco__equals_pycocotools(objects, near, anywhere, crowd_of, policy, pycocotools):
    table, detections = table_of(objects), found_of(objects, near, anywhere, crowd_of)
    expected, _ = pycocotools(table, detections, as_region=policy == "region")
    ours = coco_metrics(table, detections, ignore_policy=policy)
    for name, value in zip(METRIC_NAMES, expected, strict=True):
        assert (ours[name] is None) == (value is None), name
        assert value is None or ours[name] == pytest.approx(value, abs=1e-9, rel=0), name
