"""CrowdHuman's AP, miss rate and Jaccard index against mmdet's `CrowdHumanMetric` on generated cases."""

import importlib
import queue
import sys
import types
from functools import partial
from importlib.metadata import files

import against
import numpy as np
import polars as pl
import pytest
from scipy.optimize import linear_sum_assignment

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.evaluation import METRICS, Case

CASES = 100
MORE_THAN_HALF = np.nextafter(np.float32(0.5), np.float32(1))  # the least that it knows; its Jaccard index takes .5 too
WIDTH, HEIGHT = 160, 140  # boxes reach beyond both
NOTHING = {"tag": "mask", "fbox": [0, 0, 0, 0], "hbox": [0, 0, 0, 0]}  # mmdet cannot read an image without a box


@pytest.fixture(scope="module")
def crowdhuman():
    """The module of the metric; the packages above it would ask for mmcv, which it does without."""
    path = "mmdet.evaluation.metrics.crowdhuman_metric"
    root = next(f for f in files("mmdet") if str(f) == "mmdet/__init__.py").locate().parent
    with pytest.MonkeyPatch.context() as patch:
        for name in ("mmdet", "mmdet.evaluation", "mmdet.evaluation.metrics", "mmdet.evaluation.functional"):
            package = types.ModuleType(name)
            package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
            patch.setitem(sys.modules, name, package)
        yield importlib.import_module(path)


def loaded(crowdhuman, table, detections):
    """The images of one class as mmdet has them, cut at the border."""
    images = []
    for image_id in table.images["image_id"].sort():
        boxes, rows = (f.filter(pl.col("image_id") == image_id) for f in (table.boxes, detections.rows))
        tags = ["mask" if region else "person" for region in against.is_region(boxes)]
        truth = [{"tag": tag, "fbox": box, "hbox": box} for tag, box in zip(tags, against.xywh(boxes), strict=True)]
        scored = [{"box": box, "score": score} for box, score in zip(against.xywh(rows), rows["score"], strict=True)]
        record = {"ID": image_id, "width": WIDTH, "height": HEIGHT, "gtboxes": truth or [NOTHING], "dtboxes": scored}
        image = crowdhuman.Image(mode=0)
        for is_truth in (True, False):
            image.load(record, "box", None, crowdhuman.PERSON_CLASSES, is_truth)
        image.clip_all_boader()
        images.append(image)
    return dict(enumerate(images))


def ap_and_miss_rate(crowdhuman, images):
    """AP and miss rate before mmdet rounds them; None where it has no curve, as nothing counts."""
    metric = crowdhuman.CrowdHumanMetric(ann_file="")
    counts = sum(image.gt_num - image.ign_num for image in images.values()), len(images)
    turns = metric.compare(images)
    if not turns:
        return None
    with np.errstate(divide="ignore"):  # it takes the logarithm of 0 where everything is found
        return metric.eval_ap(turns, *counts), metric.eval_mr(turns, *counts)


def jaccard_index(crowdhuman, images):
    """The index from mmdet's counts; it adds 1e-6 to what it divides by."""
    metric = crowdhuman.CrowdHumanMetric(ann_file="", iou_thres=MORE_THAN_HALF)
    metric.compute_ji_matching = partial(most_overlap, crowdhuman)
    means = []
    for step in range(10):
        results = queue.SimpleQueue()
        metric.compute_ji_with_ignore(results, images, 0.1 * step)
        counts = [(r["k"], r["m"] + r["n"]) for r in (results.get() for _ in images)]
        ratios = [pairs / (both - pairs) for pairs, both in counts if both]
        means.append(sum(ratios) / max(1, len(ratios)))
    return max(means)


def most_overlap(crowdhuman, detections, truth):
    """Pair as CrowdDet does, for the largest sum of overlaps; mmdet takes any of the pairings with the most pairs."""
    overlaps = crowdhuman.bbox_overlaps(detections, truth)
    overlaps[overlaps < MORE_THAN_HALF] = 0
    return [(i, j) for i, j in zip(*linear_sum_assignment(overlaps, maximize=True), strict=True) if overlaps[i, j]]


def test_crowdhuman__equals_mmdet(generated, crowdhuman):
    compared = dict.fromkeys(("AP", "MR", "JI"), 0)
    for seed, table, detections in against.single_classes(generated, CASES):
        sizes = {"width": pl.lit(WIDTH, pl.Int32), "height": pl.lit(HEIGHT, pl.Int32)}
        table = AnnotationTable(table.images.with_columns(**sizes), table.boxes, table.categories)
        values = METRICS["crowdhuman"](Case(table, detections)).values
        images = loaded(crowdhuman, table, detections)
        ji = jaccard_index(crowdhuman, images)
        assert values["JI"] == pytest.approx(ji, abs=1e-12), seed
        curve = ap_and_miss_rate(crowdhuman, images)
        if curve is None:
            assert (values["AP"], values["MR"]) == (0.0, 1.0), seed
            continue
        ap, mr = curve
        assert values["AP"] == pytest.approx(ap, abs=1e-12), seed
        if mr > 0:  # one point of nine without a miss makes mmdet's 0; ours counts as 1e-10 there, as EuroCity's does
            assert values["MR"] == pytest.approx(mr, abs=1e-12), seed
        compared["AP"] += ap > 0
        compared["MR"] += 0 < mr < 1
        compared["JI"] += ji > 0
    assert min(compared.values()) > 80, compared
