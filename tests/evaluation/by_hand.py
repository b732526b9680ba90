"""A case computed by hand for every metric of `METRICS`: a metric without one fails `test_registry.py`.

`PAIR`: two persons of 100 px in 100 images of which the first alone is detected, exactly and with score .9: precision
1 up to recall 1/2. `TEN`: ten objects of 30 px, of which five are detected.
"""

from dataclasses import dataclass

from persons import person

HALF = 51 / 101  # the mean of precision 1 at recall 0, .01, ... .50 of the 101 recalls, and 0 behind


@dataclass(frozen=True)
class ByHand:
    """Objects, detections and the numbers that a metric must give.

    Args:
        objects: Rows (image_id, category_id, x1, y1, x2, y2).
        detections: The same with a score.
        expected: The numbers by name.
        class_name: The name of the one class.
    """

    objects: list
    detections: list
    expected: dict
    class_name: str = "pedestrian"


def pair(**expected):
    objects = [person(100, 100, 100)[:6], person(200, 100, 100)[:6]]
    return ByHand(objects, [(*objects[0], 0.9)], expected)


def ten(n_detected, **expected):
    objects = [(i, 1, 100, 100, 130, 130) for i in range(1, 11)]
    return ByHand(objects, [(*box, 0.9) for box in objects[:n_detected]], expected)


MISS_RATES = ("caltech", "citypersons", "crowdhuman", "eurocity", "inria", "nightowls", "tju")
BY_HAND = {
    "calibration": ten(10, D_ECE=0.1),  # precision 1 where the score says .9
    "coco": pair(AP=HALF, AR100=0.5),
    "crowdhuman": pair(MR=0.5, JI=0.5),  # one pair of two objects and one detection: 1 / (2 + 1 - 1)
    "gtsdb": pair(AUC=0.5),
    "kitti": pair(AP40_easy=0.0, AP11_easy=1 / 11),  # one threshold alone: precision 1 at recall 0, which AP40 skips
    "lrp": pair(oLRP=0.5, localisation=0.0, fp=0.0, fn=0.5),  # one error of two
    **{f"miss_rate_{name}": pair(all=0.5) for name in MISS_RATES},
    "operating_points": pair(best_f1_score_threshold=0.9, best_f1_precision=1.0, best_f1_recall=0.5),
    "slices": ten(5, **{"AP/all": HALF, "recall/all": 0.5, "n_positives/height [20, 50)": 10}),
    "tide": pair(AP50=HALF, dAP_Miss=1 - HALF, count_Miss=1, count_Bkg=0),
    "tt100k": pair(accuracy_large=1.0, recall_large=0.5, f1_large=2 / 3),
    "voc": pair(AP_11_point=6 / 11, AP_all_point=0.5),
}
