"""`METRICS`: every protocol by name, and which of them each data set is scored by.

To add one: a function from `Case` to `MetricResult`, a line here, and a case computed by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.evaluation.case import Case
from detect_transfer.evaluation.coco.scores import coco_policies
from detect_transfer.evaluation.metric_result import MetricResult
from detect_transfer.evaluation.metrics.calibration import calibration
from detect_transfer.evaluation.metrics.crowdhuman import crowdhuman
from detect_transfer.evaluation.metrics.kitti import kitti
from detect_transfer.evaluation.metrics.lrp import lrp
from detect_transfer.evaluation.metrics.miss_rate import miss_rate
from detect_transfer.evaluation.metrics.operating_points import operating_metric
from detect_transfer.evaluation.metrics.protocols import PROTOCOLS
from detect_transfer.evaluation.metrics.signs import gtsdb, tt100k
from detect_transfer.evaluation.metrics.slices import slices
from detect_transfer.evaluation.metrics.tide import tide
from detect_transfer.evaluation.metrics.voc import voc

METRICS: dict[str, Callable[[Case], MetricResult]] = {
    "calibration": calibration,
    "coco": coco_policies,
    "crowdhuman": crowdhuman,
    "gtsdb": gtsdb,
    "kitti": kitti,
    "lrp": lrp,
    **{name: partial(miss_rate, name=name, protocol=protocol) for name, protocol in PROTOCOLS.items()},
    "operating_points": operating_metric,
    "slices": slices,
    "tide": tide,
    "tt100k": tt100k,
    "voc": voc,
}

_PEDESTRIANS_OF = ("caltech", "citypersons", "eurocity", "nightowls", "tju")
METRICS_OF_DATA: dict[str, tuple[str, ...]] = {
    "gtsdb": ("coco", "gtsdb", "operating_points", "tide"),
    "tt100k": ("coco", "tt100k"),
    **{name: ("coco", "slices") for name in ("mtsd", "dfg", "lisa", "rtsd", "bdd100k")},
    **{name: (f"miss_rate_{name}", "coco") for name in _PEDESTRIANS_OF},
    "crowdhuman": ("crowdhuman", "coco"),
    "widerperson": ("crowdhuman", "coco"),
    "kitti": ("kitti", "coco"),
    "pascal_v1": ("coco", "voc", "miss_rate_inria"),  # INRIA and Penn-Fudan
    "voc": ("coco", "voc"),
}
_OTHERWISE = ("coco",)


def metrics_of_data(data_set: str) -> tuple[str, ...]:
    """Return the metrics that a data set is scored by, the first one first; ``coco`` where it has no own."""
    return METRICS_OF_DATA.get(data_set, _OTHERWISE)


def evaluate_metrics(case: Case, names: Sequence[str]) -> dict[str, MetricResult]:
    """Compute metrics of `METRICS` by name; what they share is computed once.

    Raises:
        InputError: A name is not known, the truth has no image, or a detection names an unknown id.
    """
    for name in names:
        if name not in METRICS:
            raise InputError(
                "METRIC_UNKNOWN",
                "no metric has this name",
                field="metrics",
                value=name,
                remedy=did_you_mean(name, list(METRICS)),
            )
    return {name: METRICS[name](case) for name in names}
