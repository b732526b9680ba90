"""A small scored data set with images on the disk, and names that try to do harm."""

import numpy as np
import pytest
from PIL import Image

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.evaluation import Case, evaluate_metrics, score_case
from detect_transfer.report import ReportData

METRICS_SHOWN = ("slices", "tide", "calibration", "operating_points", "voc")
HOSTILE = [
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=1">',
    "'; alert(1); //",
    "c$x_{$",
    "$$$",
    r"a\$b$c",
    "x" * 5000,
    "\u202eesrever",
    "ناس",
    "🚸🛑",
    "人",
    "",
    " ",
    "two\nlines\tand\0nul",
    "_hidden",
    "{{ 7 * 7 }}{% raw %}",
    "</style></script><svg onload=alert(1)>",
    "&lt;b&gt;&amp;",
    "=cmd|' /C calc'!A0",
    "javascript:alert(1)",
    "%s%n%(x)s",
    "]]><x/>",
    "<!-- comment",
    "a\u0301\u200b\ufeff",
    "\\",
    "null",
    "../../etc/passwd",
    "#target",
    "data:text/html,<b>",
    "\ue000",
]


def _scene(root, names, *, n_images=6, seed=0):
    """Write images with coloured squares; return the truth and detections that are mostly right."""
    rng = np.random.default_rng(seed)
    images, boxes, rows = [], [], []
    for image_id in range(1, n_images + 1):
        image = rng.integers(60, 120, (120, 160, 3)).astype(np.uint8)
        for i in range(len(names) if len(names) > 5 else 5):
            x, y = rng.uniform(0, 130), rng.uniform(0, 90)
            size = rng.uniform(6, 30)
            box = (x, y, min(x + size, 160.0), min(y + size, 120.0))
            category = 1 + i % len(names)
            image[int(y) : int(y + size), int(x) : int(x + size)] = rng.integers(0, 255, 3)
            boxes.append((image_id, category, *box, i == 4))
            if rng.random() < 0.7:
                moved = [float(v) for v in np.array(box) + rng.normal(0, 0.5, 4)]
                rows.append((image_id, category, *moved, float(rng.uniform(0.3, 1))))
        rows.append((image_id, 1, 5.0, 5.0, 25.0, 25.0, float(rng.uniform(0.2, 0.9))))
        Image.fromarray(image).save(root / f"{image_id}.png")
        images.append((image_id, f"{image_id}.png"))
    columns = ("image_id", "category_id", "x1", "y1", "x2", "y2")
    truth = AnnotationTable.from_columns(
        images={"image_id": [i for i, _ in images], "file_name": [n for _, n in images]},
        boxes={
            "annotation_id": range(1, len(boxes) + 1),
            **{c: [b[i] for b in boxes] for i, c in enumerate(columns)},
            "ignore": [b[6] for b in boxes],
            "ignore_reason": [names[0] if b[6] else None for b in boxes],
        },
        categories={"category_id": range(1, len(names) + 1), "name": names},
        image_root=root,
    )
    detections = Detections.from_columns({c: [f[i] for f in rows] for i, c in enumerate((*columns, "score"))})
    return truth, detections


def _data(root, names, **parts):
    case = Case(*_scene(root, names))
    return ReportData(
        **{
            "title": "a run",
            "run_facts": {"Model": "yolo11n", "Seed": 0},
            "case": case,
            "scores": score_case(case),
            "metrics": evaluate_metrics(case, METRICS_SHOWN),
            "history": [
                {"epoch": 0, "AP": 0.1, "AP50": 0.2, "AP75": None, "seconds": 1},
                {"epoch": 1, "AP": 0.5, "AP50": 0.7, "AP75": 0.4, "loss": 2.5, "lr": {"head": 1e-3, "stem": 1e-3}},
                {"epoch": 2, "AP": 0.4, "AP50": 0.6, "AP75": 0.4, "loss": 1.5, "lr": {"head": 1e-4, "stem": 1e-5}},
            ],
            "ledger": {
                "steps": [
                    {
                        "step": "clean",
                        "images_in": 6,
                        "images_out": 6,
                        "boxes_in": 32,
                        "boxes_out": 30,
                        "lines": [
                            {
                                "kind": "box",
                                "action": "dropped",
                                "reason": "no area",
                                "count": 2,
                                "examples": ["a.xml:3"],
                            }
                        ],
                    }
                ]
            },
            "transfer": {
                "arch": "yolo11n",
                "stages": [{"stage": "stem", "parameters": 497, "rates": [1e-3]}, {"stage": "head", "parameters": 9}],
                "head_rows": [{"target": names[0], "sources": ["person"], "how": "copied"}],
                "frozen": {"tensors": 6, "identical": True},
            },
            **parts,
        }
    )


@pytest.fixture
def make_scene(tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    return lambda names, **keywords: _scene(root, names, **keywords)


@pytest.fixture
def make_data(tmp_path):
    root = tmp_path / "images"
    root.mkdir()
    return lambda names, **parts: _data(root, names, **parts)


@pytest.fixture
def hostile():
    return list(HOSTILE)
