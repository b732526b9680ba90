"""The unlabelled images that are most worth labelling for a detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.core.annotations import Detections
from detect_transfer.core.csv_cells import harmless_column
from detect_transfer.core.errors import InputError
from detect_transfer.core.image_sources import SourceImage
from detect_transfer.core.images import IMAGE_SUFFIXES, read_rgb
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import list_files, new_folder, require_dir, require_new, write_atomic, write_json
from detect_transfer.evaluation.image_ranking import rank_images
from detect_transfer.models.base import Prediction
from detect_transfer.models.predict import detections_of
from detect_transfer.models.stream import StreamOptions, detect_stream
from detect_transfer.workflows.predict_outputs import SKIPPED_IMAGES
from detect_transfer.workflows.trained_detector import TrainedDetector, load_trained

Progress = Callable[[int, int], None]


def rank_folder(
    weights: str | Path,
    images: Path,
    out: Path,
    *,
    most: int,
    device: str = "auto",
    imgsz: InputSize | None = None,
    progress: Progress | None = None,
) -> tuple[pl.DataFrame, int]:
    """Run a detector on a folder of images, and write `ranking.csv` and `images.txt`, the names in order.

    Images that cannot be read are left out, and listed in `skipped.json`.

    Args:
        weights: A run folder, a weights file, or a known name.
        images: The folder, searched through.
        out: The folder to make.
        most: How many images are listed at most.
        device: auto, cpu, cuda or mps.
        imgsz: What images are scaled into; None takes that of training.
        progress: Called with the number of images done and of all.

    Returns:
        What `rank_images` gives with `file_name`, and how many images could not be read.

    Raises:
        InputError: Weights or images are missing or damaged, no image can be read, or `out` is not empty.
    """
    require_new(out)
    require_dir(images, what="a folder of images")
    names = list_files(images, IMAGE_SUFFIXES)
    if not names:
        remedy = "give a folder with images: " + " ".join(IMAGE_SUFFIXES)
        raise InputError("IMAGES_MISSING", "no image is there", where=images, remedy=remedy)
    trained = load_trained(weights, device=device, imgsz=imgsz)
    listed, detections, skipped = _detected(trained, images, names, progress)
    ranked = rank_images(listed, detections, most=most).join(
        listed.select("image_id", "file_name"), on="image_id", how="left", maintain_order="left"
    )
    table = ranked.with_row_index("rank", offset=1).drop("image_id")
    with new_folder(out) as building:
        columns = ["rank", "file_name", "uncertainty", "novelty", "n_detections"]
        cells = table.select(columns).with_columns(harmless_column("file_name"))
        write_atomic(building / "ranking.csv", cells.write_csv(float_precision=4))
        write_atomic(building / "images.txt", "".join(f"{name}\n" for name in ranked["file_name"]))
        if skipped:
            write_json(building / SKIPPED_IMAGES, skipped)
    return ranked, len(skipped)


def _detected(
    trained: TrainedDetector, images: Path, names: Sequence[str], progress: Progress | None
) -> tuple[pl.DataFrame, Detections, list[dict[str, Any]]]:
    """Return the images that can be read with their sizes, what is detected in them, and the others with the reason.

    Raises:
        InputError: None can be read.
    """
    sources = [SourceImage(name, partial(read_rgb, images / name, intake=trained.intake)) for name in names]
    listed: list[tuple[int, str, int, int]] = []
    found: list[tuple[int, Prediction]] = []
    skipped: list[dict[str, Any]] = []
    for result in detect_stream(trained.detector, sources, StreamOptions(trained.imgsz, trained.settings)):
        if result.error is None:
            listed.append((result.number, result.source.name, *result.size_wh))
            found.append((result.number, result.prediction))
        else:
            skipped.append({"file_name": result.source.name, **result.error.as_dict()})
        if progress is not None:
            progress(result.number + 1, len(names))
    if not listed:
        what = f"none of {len(names):,} images can be read; the first, {names[0]}: {skipped[0]['what']}"
        raise InputError("IMAGES_UNREADABLE", what, where=images, remedy="give images that open in a viewer")
    table = pl.DataFrame(listed, schema=["image_id", "file_name", "width", "height"], orient="row")
    return table, detections_of(found, trained.category_ids), skipped
