"""A trained detector at work on images as they come: files, folders, lists, videos, cameras and streams."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from detect_transfer.config import Evaluate
from detect_transfer.core.arrays import FloatArray
from detect_transfer.core.counted import counted
from detect_transfer.core.disk import resource_errors
from detect_transfer.core.errors import DetectTransferError, InputError, did_you_mean
from detect_transfer.core.image_sources import ImageSources
from detect_transfer.core.input_size import Sides
from detect_transfer.core.io import require_new
from detect_transfer.core.opening import real_path
from detect_transfer.core.tiles import Tiling
from detect_transfer.formats.detections.streams import DETECTION_WRITERS, Classes, DetectedImage
from detect_transfer.models.device import half_precision
from detect_transfer.models.fuse import fused
from detect_transfer.models.stream import ImageResult, StreamOptions, detect_stream
from detect_transfer.training.lock import lock_folder
from detect_transfer.workflows.evaluate import SHOWN_SCORE
from detect_transfer.workflows.predict_outputs import SKIPPED_IMAGES, Drawings, PredictionRows
from detect_transfer.workflows.thresholds import (
    is_best_label,
    is_score,
    least_scores,
    read_thresholds,
    without_threshold,
)
from detect_transfer.workflows.trained_detector import TrainedDetector, chosen_settings, load_trained

Progress = Callable[[int, int | None], None]
STORED = "auto"
_MOST_SHOWN = 5


@dataclass(frozen=True)
class PredictOptions:
    """How a detector is run and what is written of what it detects.

    Args:
        score_threshold: Detections from this score in [0, 1] on are drawn; the files hold all. `auto` takes the
            threshold of each class that the run stored, and draws nothing of a class without; None does so too, and
            takes 0.25 where the run stored no thresholds at all.
        multi_label: Draw every label of a box, not only the best one.
        agnostic: Boxes of different classes suppress each other, in the files as well.
        device: auto, cpu or cuda, where the detector is still to be loaded.
        imgsz: The side, or height and width, that images are scaled into then; None takes that of training, else 640.
        nms_iou: Of two boxes of a class with a larger IoU the lower one goes; None takes that of the run.
        max_detections: Of an image; None takes those of the run.
        classes: The classes that are looked for; none looks for all.
        batch: Images a step; None takes that of the run, and 1 for a camera or a stream.
        half: Compute the network in half precision.
        targets: What is written, keys of `DETECTION_WRITERS`.
        draw: Whether annotated images are written.
        crops: Whether each drawn object is written by itself.
        save_video: Whether annotated videos are written.
        tiling: How images are cut into tiles; None takes them whole.
        allow_network: Whether addresses are opened.
        limit: Take the first so many images alone.

    Raises:
        InputError: The score is neither a number in [0, 1] nor `auto`, or another choice is none.
    """

    score_threshold: float | str | None = None
    multi_label: bool = False
    agnostic: bool = False
    device: str = "auto"
    imgsz: Sides | None = None
    nms_iou: float | None = None
    max_detections: int | None = None
    classes: Sequence[str] = ()
    batch: int | None = None
    half: bool = False
    targets: Sequence[str] = ("jsonl", "coco")
    draw: bool = True
    crops: bool = False
    save_video: bool = False
    tiling: Tiling | None = None
    allow_network: bool = False
    limit: int | None = None

    def __post_init__(self) -> None:
        """Check the choices before anything is loaded."""
        score = self.score_threshold
        if score not in (None, STORED) and not is_score(score):
            raise InputError(
                "OPTION",
                "a number from 0 to 1, or auto, was expected",
                field="score",
                value=score,
                remedy="give 0.25, for example",
            )
        for target in self.targets:
            if target not in DETECTION_WRITERS:
                remedy = did_you_mean(target, list(DETECTION_WRITERS))
                raise InputError("OPTION", "detections are not written so", field="--to", value=target, remedy=remedy)

        self.settings(Evaluate(), live=False)

    def settings(self, own: Evaluate, *, live: bool) -> Evaluate:
        """Return the settings of a run with what is chosen here; `live`: images come as time goes by."""
        return chosen_settings(
            own,
            nms_iou=self.nms_iou,
            max_detections=self.max_detections,
            agnostic=self.agnostic or None,
            batch=1 if live and self.batch is None else self.batch,
        )


@dataclass
class Predicted:
    """What prediction did.

    Args:
        out: The folder with all of it.
        n_images: How many images were read.
        n_drawn: How many detections reach the score from which they are drawn.
        bound: That score, in words.
        notes: What there is to know, a sentence each.
        n_skipped: How many images could not be read.
        skipped: The first of these, with the reason.
    """

    out: Path
    n_images: int = 0
    n_drawn: int = 0
    bound: str = ""
    notes: list[str] = field(default_factory=list)
    n_skipped: int = 0
    skipped: list[str] = field(default_factory=list)

    def count(self, image: DetectedImage, error: DetectTransferError | None) -> None:
        """Count an image and what is drawn of it, or why it could not be read."""
        if error is None:
            self.n_images += 1
            self.n_drawn += int(image.drawn.sum())
        else:
            self.n_skipped += 1
            self.skipped += [str(error)] if len(self.skipped) < _MOST_SHOWN else []

    def note_skipped(self) -> None:
        """Note how many images could not be read, and the first of them."""
        if self.n_skipped:
            where = self.out / SKIPPED_IMAGES
            self.notes.append(f"{counted(self.n_skipped, 'image')} could not be read, see {where}; the first:")
            self.notes += self.skipped


def predict_sources(
    source: str | Path | TrainedDetector,
    images: str | Path | Sequence[str | Path],
    out: Path,
    options: PredictOptions,
    progress: Progress | None = None,
) -> Predicted:
    """Run a detector on images as they come; write detections, drawn images and what else is chosen.

    Images that cannot be read are listed in `skipped.json` and left out. Where it is interrupted, the files hold what
    was detected until then.

    Args:
        source: A run folder, a weights file, a known name, or what `load_trained` made of it.
        images: What to look at, as for `ImageSources`.
        out: The folder to make.
        options: How it is run and what is written.
        progress: Called with the number of images done, and of all where that is known.

    Raises:
        InputError: Weights or images are missing, no image can be read, thresholds are asked for and not stored, or
            `out` is not empty.
    """
    require_new(out)
    words = [images] if isinstance(images, str | Path) else images
    sources = ImageSources(tuple(map(str, words)), options.allow_network, options.limit)
    if isinstance(source, TrainedDetector):
        trained = source
    else:
        trained = load_trained(source, device=options.device, imgsz=options.imgsz)
    sources = replace(sources, intake=trained.intake)
    done = Predicted(out)
    least = _least_scores(trained, options, done)
    drawings = Drawings(out, trained.class_names, images=options.draw, crops=options.crops, videos=options.save_video)
    stream = StreamOptions(
        imgsz=trained.imgsz,
        settings=options.settings(trained.settings, live=sources.is_live),
        labels=_labels(options.classes, trained.class_names),
        tiling=options.tiling,
        precision=half_precision(trained.detector.module) if options.half else "fp32",
        keep_pixels=drawings.needs_pixels,
    )
    total = sources.count
    with _written(out, trained, options, done) as rows:
        try:
            for result in detect_stream(fused(trained.detector), sources, stream):
                image = _detected(result, least, options)
                rows.write(image, result.error)
                done.count(image, result.error)
                if result.error is None and result.image_rgb is not None:
                    drawings.write(result.source, result.image_rgb, image)
                if progress is not None:
                    progress(done.n_images + done.n_skipped, total)
        finally:  # what was seen until it was interrupted is wanted
            drawings.close()
        _refuse_none(done)
    if drawings.n_frames_not_drawn and options.draw:
        done.notes.append(f"{drawings.n_frames_not_drawn:,} frames are not drawn: --save-video writes them as a video")
    done.note_skipped()
    return done


@contextmanager
def _written(out: Path, trained: TrainedDetector, options: PredictOptions, done: Predicted) -> Iterator[PredictionRows]:
    """Give the files to write to: whole at the end and where it is interrupted, removed where it fails."""
    classes = Classes(trained.category_ids, trained.class_names)
    with resource_errors(out), ExitStack() as locks:
        real_path(out).mkdir(parents=True, exist_ok=True)
        locks.enter_context(lock_folder(out))
        require_new(out)  # another may have been quicker since
        rows = PredictionRows(out, classes, list(dict.fromkeys(options.targets)))
        try:
            yield rows
        except Exception:
            rows.close(whole=False)
            if not done.n_images:
                shutil.rmtree(out, ignore_errors=True)
            raise
        except BaseException:  # Ctrl-C ends a camera, and what it saw is wanted
            rows.close(whole=True)
            raise
        rows.close(whole=True)


def _refuse_none(done: Predicted) -> None:
    """Raise where not one image could be read."""
    if done.n_images or not done.n_skipped:
        return
    raise InputError(
        "IMAGES_UNREADABLE",
        f"of {counted(done.n_skipped, 'image')} none can be read; the first: {done.skipped[0]}",
        remedy="give images that open in a viewer",
    )


def _least_scores(trained: TrainedDetector, options: PredictOptions, done: Predicted) -> FloatArray:
    """Return the score from which detections of each class (K,) are drawn, and note it."""
    score, stored = options.score_threshold, trained.stored_thresholds()
    if score is None:
        score = SHOWN_SCORE if stored is None else STORED
    names = trained.class_names
    if not isinstance(score, str):
        done.bound = f"score {score:g}"
        return np.full(len(names), float(score))
    thresholds = read_thresholds(trained.path) if stored is None else stored
    done.bound = "the threshold of its class"
    note = without_threshold(names, thresholds)
    done.notes += [f"{note}; --score {SHOWN_SCORE} draws them from that score on"] if note else []
    return least_scores(names, thresholds)


def _labels(classes: Sequence[str], names: Sequence[str]) -> tuple[int, ...] | None:
    """Return the indices of the classes that are looked for; None for all."""
    for name in classes:
        if name not in names:
            remedy = did_you_mean(name, list(names))
            raise InputError(
                "CLASS_UNKNOWN", "the detector has no such class", field="--classes", value=name, remedy=remedy
            )
    return tuple(names.index(name) for name in dict.fromkeys(classes)) or None


def _detected(result: ImageResult, least: FloatArray, options: PredictOptions) -> DetectedImage:
    """Return the rows of an image, with those that are drawn."""
    prediction = result.prediction
    drawn = prediction.scores >= least[prediction.labels]
    if not options.multi_label and drawn.any():
        rows = np.flatnonzero(drawn)
        drawn[rows] = is_best_label(prediction.xyxy[rows], prediction.scores[rows], prediction.labels[rows])
    return DetectedImage(
        result.number + 1,
        result.source.name,
        result.size_wh,
        prediction.xyxy,
        prediction.scores,
        prediction.labels,
        drawn,
        error="" if result.error is None else str(result.error),
    )
