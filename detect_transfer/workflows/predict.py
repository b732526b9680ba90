"""A trained detector at work on images of a folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import polars as pl

from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES, read_size_wh
from detect_transfer.core.io import list_files, new_folder, require_new, write_json
from detect_transfer.data.seen_images import SEEN_IMAGES
from detect_transfer.formats.detections.writer import write_results
from detect_transfer.report.render import render_predictions
from detect_transfer.workflows.evaluate import SHOWN_SCORE
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.thresholds import (
    above_thresholds,
    has_thresholds,
    one_label,
    read_thresholds,
    without_threshold,
)
from detect_transfer.workflows.trained_detector import TrainedDetector, load_trained

Progress = Callable[[int, int], None]
STORED = "auto"


@dataclass(frozen=True)
class PredictOptions:
    """How a detector is run and what is drawn of what it finds.

    Args:
        score_threshold: Detections from this score in [0, 1] on are drawn; the file holds all. `auto` takes the
            threshold of each class that the run stored, and draws nothing of a class without; None does so too, and
            takes 0.25 where the run stored no thresholds at all.
        multi_label: Draw every label of a box, not only the best one.
        agnostic: Boxes of different classes suppress each other, in the file as well.
        device: auto, cpu or cuda, where the detector is still to be loaded.
        imgsz: The side that images are scaled to then; None takes that of training, else 640.

    Raises:
        InputError: The score is neither a number in [0, 1] nor `auto`.
    """

    score_threshold: float | str | None
    multi_label: bool = False
    agnostic: bool = False
    device: str = "auto"
    imgsz: int | None = None

    def __post_init__(self) -> None:
        """Check the score before anything is loaded."""
        score = self.score_threshold
        if score not in (None, STORED) and not (isinstance(score, int | float) and 0 <= score <= 1):
            raise InputError(
                "OPTION",
                "a number from 0 to 1, or auto, was expected",
                field="score",
                value=score,
                remedy="give 0.25, for example",
            )


class Predicted(NamedTuple):
    """What prediction did: how many images it saw, how many detections it drew, from which score on, what it left."""

    n_images: int
    n_drawn: int
    bound: str
    note: str = ""


def predict_folder(
    source: str | Path | TrainedDetector,
    images: Path,
    out: Path,
    options: PredictOptions,
    progress: Progress | None = None,
) -> Predicted:
    """Run a detector on a folder of images, or on one; write `detections.json` and drawn images.

    Args:
        source: A run folder, a weights file, a known name, or what `load_trained` made of it.
        images: A folder, searched through, or one image.
        out: The folder to make.
        options: How it is run and what is drawn.
        progress: Called with the number of images done and of all.

    Returns:
        The number of images, and of detections drawn.

    Raises:
        InputError: Weights or images are missing or damaged, thresholds are asked for and not stored, or `out` is not
            empty.
    """
    require_new(out)
    if isinstance(source, TrainedDetector):
        trained = source
    else:
        trained = load_trained(source, device=options.device, imgsz=options.imgsz)
    score: float | str | None = options.score_threshold
    if score is None:
        score = STORED if has_thresholds(trained.path) else SHOWN_SCORE
    thresholds = read_thresholds(trained.path) if score == STORED else {}
    if options.agnostic:
        trained = replace(trained, settings=trained.settings.model_copy(update={"agnostic": True}))
    table = _image_table(images, trained)
    root = table.image_root or images
    chosen = [(i, root / name) for i, name in table.images.select("image_id", "file_name").iter_rows()]
    detections = trained.find(chosen, trained.category_ids, progress)
    if score == STORED:
        shown = above_thresholds(detections, table.categories, thresholds)
    else:
        shown = Detections(detections.rows.filter(pl.col("score") >= score))
    shown = shown if options.multi_label else one_label(shown)
    with new_folder(out) as building:
        files = RunFolder(building)
        write_results(detections, table, files.detections)
        write_json(building / SEEN_IMAGES, table.images.select("image_id", "file_name", "width", "height").to_dicts())
        render_predictions(table, shown, root, files.images, score_threshold=0.0)
    if score != STORED:
        return Predicted(len(chosen), shown.rows.height, f"score {score:g}")
    note = without_threshold(trained.class_names, thresholds)
    note = f"{note}; --score {SHOWN_SCORE} draws them from that score on" if note else ""
    return Predicted(len(chosen), shown.rows.height, "the threshold of its class", note)


def _image_table(images: Path, trained: TrainedDetector) -> AnnotationTable:
    """Return a table of images without boxes, with the classes of the detector."""
    root = images if images.is_dir() else images.parent
    names = list_files(images, IMAGE_SUFFIXES, into_written=True) if images.is_dir() else [images.name]
    if not names or not images.exists():
        raise InputError(
            "IMAGES_MISSING",
            "no image is there",
            where=images,
            remedy="give a folder with images, or an image: " + " ".join(IMAGE_SUFFIXES),
        )
    sizes = [read_size_wh(root / name) for name in names]
    return AnnotationTable.from_columns(
        images={
            "image_id": range(1, len(names) + 1),
            "file_name": names,
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
        },
        boxes={},
        categories={"category_id": trained.category_ids, "name": trained.class_names},
        image_root=root,
    )
