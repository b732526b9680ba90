"""A detector in a Python program: called with images it gives their detections."""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from detect_transfer.core.arrays import FloatArray, IntArray, RgbArray
from detect_transfer.core.boxes import xyxy_to_xywh
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.core.given_images import given_images
from detect_transfer.core.image_sources import SourceImage
from detect_transfer.models.base import Predictor
from detect_transfer.models.fuse import fused
from detect_transfer.models.stream import ImageResult, StreamOptions, detect_stream
from detect_transfer.report.drawings import Mark, draw_marks
from detect_transfer.report.render import encode_jpeg
from detect_transfer.report.text import short_name
from detect_transfer.workflows.evaluate import SHOWN_SCORE
from detect_transfer.workflows.thresholds import is_best_label, is_score, least_scores
from detect_transfer.workflows.trained_detector import TrainedDetector, chosen_settings

_MOST_ROWS = 20  # of the table in a notebook


@dataclass(frozen=True, eq=False)
class ImageDetections:
    """What was detected in one image, best first.

    Args:
        xyxy: (N, 4) corners in pixels of the image, x2 and y2 exclusive.
        scores: (N,) in [0, 1].
        labels: (N,) class indices, from 0.
        names: The class of each.
        category_ids: The id of each class in the data that the detector was trained on.
        image_rgb: The image (H, W, 3) uint8.
    """

    xyxy: FloatArray
    scores: FloatArray
    labels: IntArray
    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    image_rgb: RgbArray

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.scores)

    def __repr__(self) -> str:
        """Return the classes and scores in one line."""
        shown = ", ".join(f"{name} {score:.2f}" for name, score in zip(self.names, self.scores, strict=True))
        return f"ImageDetections({len(self)}: {shown})"

    def to_coco(self, image_id: int = 1) -> list[dict[str, Any]]:
        """Return COCO results: a dict a detection, with `bbox` as x, y, width and height in pixels."""
        rows = zip(self.category_ids, self.names, xyxy_to_xywh(self.xyxy).tolist(), self.scores.tolist(), strict=True)
        return [
            {"image_id": image_id, "category_id": each, "category_name": name, "bbox": box, "score": score}
            for each, name, box, score in rows
        ]

    def to_supervision(self) -> Any:
        """Return `supervision.Detections`.

        Raises:
            ResourceError: supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise ResourceError(
                "EXTRA_MISSING", "supervision is not installed", remedy="pip install supervision"
            ) from error
        return supervision.Detections(
            xyxy=self.xyxy.astype(np.float32),
            confidence=self.scores.astype(np.float32),
            class_id=self.labels.astype(int),
            data={"class_name": np.array(self.names, dtype=str)},
        )

    def draw(self) -> RgbArray:
        """Return the image with the detections drawn, small images enlarged."""
        rows = zip(self.xyxy.tolist(), self.names, self.scores, strict=True)
        marks = [
            Mark(tuple(box), "detection", f"{short_name(name, longest=22)} {score:.2f}") for box, name, score in rows
        ]
        return draw_marks(self.image_rgb, marks, legend=False)

    def _repr_html_(self) -> str:
        """Return the drawn image and a table, as a notebook shows them."""
        image = base64.b64encode(encode_jpeg(self.draw())).decode()
        rows = zip(self.names, self.scores, self.xyxy.round(1).tolist(), strict=True)
        cells = [
            f"<tr><td>{html.escape(short_name(name))}</td><td>{score:.3f}</td><td>{box}</td></tr>"
            for name, score, box in list(rows)[:_MOST_ROWS]
        ]
        more = f"<p>and {len(self) - _MOST_ROWS} more</p>" if len(self) > _MOST_ROWS else ""
        table = f"<table><tr><th>class</th><th>score</th><th>x1, y1, x2, y2</th></tr>{''.join(cells)}</table>{more}"
        return f'<img style="max-width:100%" src="data:image/jpeg;base64,{image}">{table if len(self) else ""}'


class LoadedDetector:
    """A detector that is called with images.

    Attributes:
        class_names: The classes in order.
        imgsz: The side in pixels that images are scaled into, or height and width.
        detector: The network with its pre- and post-processing, for other uses.
    """

    def __init__(self, trained: TrainedDetector) -> None:
        self.class_names = trained.class_names
        self.imgsz = trained.imgsz.sides
        self.detector: Predictor = trained.detector
        self._trained = trained
        self._fast = fused(trained.detector)
        self._stored = trained.stored_thresholds()

    def __repr__(self) -> str:
        """Return architecture, input size and number of classes."""
        return f"LoadedDetector({self.detector.arch}, {self._trained.imgsz} px, {len(self.class_names)} classes)"

    def __call__(
        self,
        images: Any,
        *,
        score: float | None = None,
        iou: float | None = None,
        max_detections: int | None = None,
        batch: int | None = None,
    ) -> Any:
        """Detect objects in an image or in a batch.

        Args:
            images: A path, a Pillow image, an array (H, W, 3) of RGB, a tensor (3, H, W) of RGB, or a batch: a list of
                these, an array (B, H, W, 3) or a tensor (B, 3, H, W). Numbers are uint8, or floating point in [0, 1].
            score: Detections from this score in [0, 1] on; None takes the thresholds that the run stored for its
                classes, and 0.25 where there are none.
            iou: Of two boxes of a class with a larger IoU the lower one goes; None takes that of the run.
            max_detections: Of an image; None takes those of the run.
            batch: Images a step; None takes that of the run.

        Returns:
            `ImageDetections` for an image, a list of them for a batch.

        Raises:
            InputError: An image is none, cannot be read, or has numbers outside [0, 1] that are not uint8; or a choice
                is out of its range.
        """
        if score is not None and not is_score(score):
            what, remedy = "a number from 0 to 1 was expected", "give 0.25, for example"
            raise InputError("OPTION", what, field="score", value=score, remedy=remedy)
        given, is_batch = given_images(images, self._trained.intake)
        settings = chosen_settings(self._trained.settings, nms_iou=iou, max_detections=max_detections, batch=batch)
        sources = (SourceImage(str(number), partial(_same, rgb)) for number, rgb in enumerate(given))
        options = StreamOptions(self._trained.imgsz, settings, keep_pixels=True)
        results = detect_stream(self._fast, sources, options, threaded=len(given) > 1)
        least = self._least(score)
        detected = [self._result(result, least) for result in results]
        return detected if is_batch else detected[0]

    def _least(self, score: float | None) -> FloatArray:
        if score is not None or self._stored is None:
            return np.full(len(self.class_names), SHOWN_SCORE if score is None else score)
        return least_scores(self.class_names, self._stored)

    def _result(self, result: ImageResult, least: FloatArray) -> ImageDetections:
        assert result.image_rgb is not None  # it is kept, and there was nothing to read
        prediction = result.prediction
        rows = np.flatnonzero(prediction.scores >= least[prediction.labels])
        rows = rows[is_best_label(prediction.xyxy[rows], prediction.scores[rows], prediction.labels[rows])]
        labels = prediction.labels[rows]
        names = tuple(self.class_names[label] for label in labels)
        ids = tuple(self._trained.category_ids[label] for label in labels)
        return ImageDetections(prediction.xyxy[rows], prediction.scores[rows], labels, names, ids, result.image_rgb)


def _same(image: RgbArray) -> RgbArray:
    return image
