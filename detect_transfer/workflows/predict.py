"""A trained detector at work: images of a folder, or the validation split of its run again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import torch

from detect_transfer.config import Evaluate, load_config
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES, read_size_wh
from detect_transfer.core.io import list_files, new_folder, require_new, write_json
from detect_transfer.data.run_data import load_run_data, with_kept_classes
from detect_transfer.evaluation import Scores, known_policy
from detect_transfer.formats.detections.writer import write_results
from detect_transfer.models import Detector, load_detector, load_weights
from detect_transfer.models.device import choose_device
from detect_transfer.models.predict import predict, read_images
from detect_transfer.report.render import render_predictions
from detect_transfer.workflows.evaluate import (
    SHOWN_SCORE,
    EvaluateOptions,
    data_set_of,
    score_all,
    write_page,
    write_scored,
)
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.thresholds import above_thresholds, read_thresholds

Progress = Callable[[str, int, int], None]


def predict_folder(
    run: Path,
    images: Path,
    out: Path,
    *,
    score_threshold: float | None,
    device: str = "auto",
    progress: Progress | None = None,
) -> tuple[int, int]:
    """Run a detector on a folder of images, or on one; write `detections.json` and drawn images.

    Args:
        run: A run folder or a `.safetensors` of ours.
        images: A folder, searched through, or one image.
        out: The folder to make.
        score_threshold: Detections from this score on are drawn; the file holds all. None takes the threshold of each
            class that the run stored.
        device: auto, cpu or cuda.
        progress: Told how far it is.

    Returns:
        The number of images, and of detections drawn.

    Raises:
        InputError: Weights or images are missing or damaged, or `out` is not empty.
    """
    require_new(out)
    thresholds = read_thresholds(run) if score_threshold is None else {}
    detector, imgsz, settings = _load(run, device)
    table = _image_table(images, detector)
    root = table.image_root or images
    chosen = [(i, root / name) for i, name in table.images.select("image_id", "file_name").iter_rows()]
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress("predicting", done, len(chosen))

    category_ids = list(range(1, len(detector.class_names) + 1))
    found = predict(
        detector, read_images(chosen, imgsz), settings=settings, category_ids=category_ids, progress=advance
    )
    if score_threshold is None:
        shown = above_thresholds(found, table.categories, thresholds, otherwise=SHOWN_SCORE)
    else:
        shown = Detections(found.rows.filter(pl.col("score") >= score_threshold))
    with new_folder(out) as building:
        files = RunFolder(building)
        write_results(found, files.detections)
        write_json(building / "images.json", table.images.select("image_id", "file_name", "width", "height").to_dicts())
        render_predictions(table, shown, root, files.images, score_threshold=0.0)
    return len(chosen), shown.rows.height


def evaluate_run(run: Path, out: Path, *, ignore_policy: str, asked: EvaluateOptions | None = None) -> Scores:
    """Score the best weights of a run on its validation split again; write metrics, detections and the report.

    Raises:
        InputError: The run or its data are missing or changed, or `out` is not empty.
    """
    require_new(out)
    policy = known_policy(ignore_policy)
    config = RunFolder(run).read_config()
    detector, imgsz, settings = _load(run, "auto")
    data = load_run_data(config.data, drawn=RunFolder(run).drawn_data)
    data = with_kept_classes(data, config.transfer.keep_source_classes)
    images = read_images([(i, data.paths[i]) for i in data.val.images["image_id"]], imgsz)
    category_ids = data.val.categories["category_id"].sort().to_list()
    found = predict(detector, images, settings=settings, category_ids=category_ids)
    data_set = data_set_of(config.data.path, config.data.format)
    scores, metrics = score_all(data.val, found, asked, ignore_policy=policy, data_set=data_set)
    with new_folder(out) as building:
        write_scored(building, found, scores, metrics=metrics)
        facts = {"Run": run.name, "Weights": "best", "Input": f"{imgsz} px", "Ignore policy": ignore_policy}
        page = {"title": run.name, "ledger": data.ledger, "metrics": metrics}
        write_page(RunFolder(building).report, data.val, found, scores, facts=facts, **page)
    return scores


def _load(run: Path, device: str) -> tuple[Detector, int, Evaluate]:
    """Load detector, input size and scoring settings of a run folder or a weights file."""
    weights = RunFolder(run).best if run.is_dir() else run
    if not weights.is_file() or weights.suffix != ".safetensors":
        raise InputError(
            "RUN_MISSING",
            "neither a run folder with weights/best.safetensors nor a .safetensors file",
            where=run,
            remedy="give the folder that training printed",
        )
    source = load_weights(weights)
    config = RunFolder(run).config
    settings = load_config(config).evaluate if run.is_dir() and config.is_file() else Evaluate()
    detector = load_detector(source)
    detector.module.to(choose_device(device, field="--device")).to(memory_format=torch.channels_last)
    return detector, int(source.metadata.get("imgsz", "640")), settings


def _image_table(images: Path, detector: Detector) -> AnnotationTable:
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
    classes = list(detector.class_names)
    return AnnotationTable.from_columns(
        images={
            "image_id": range(1, len(names) + 1),
            "file_name": names,
            "width": [width for width, _ in sizes],
            "height": [height for _, height in sizes],
        },
        boxes={},
        categories={"category_id": range(1, len(classes) + 1), "name": classes},
        image_root=root,
    )
