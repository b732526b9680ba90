"""The unlabelled images that are most worth labelling for a detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from detect_transfer.core.errors import InputError
from detect_transfer.core.images import IMAGE_SUFFIXES, read_size_wh
from detect_transfer.core.io import list_files, new_folder, require_dir, require_new, write_atomic
from detect_transfer.evaluation.image_ranking import rank_images
from detect_transfer.workflows.trained_detector import load_trained

Progress = Callable[[int, int], None]


def rank_folder(
    weights: str | Path,
    images: Path,
    out: Path,
    *,
    most: int,
    device: str = "auto",
    imgsz: int | None = None,
    progress: Progress | None = None,
) -> pl.DataFrame:
    """Run a detector on a folder of images, and write `ranking.csv` and `images.txt`, the names in order.

    Args:
        weights: A run folder, a weights file, or a known name.
        images: The folder, searched through.
        out: The folder to make.
        most: How many images are listed at most.
        device: auto, cpu, cuda or mps.
        imgsz: The side that images are scaled to; None takes that of training.
        progress: Called with the number of images done and of all.

    Returns:
        What `rank_images` gives, and `file_name`.

    Raises:
        InputError: Weights or images are missing or damaged, or `out` is not empty.
    """
    require_new(out)
    require_dir(images, what="a folder of images")
    names = list_files(images, IMAGE_SUFFIXES)
    if not names:
        remedy = "give a folder with images: " + " ".join(IMAGE_SUFFIXES)
        raise InputError("IMAGES_MISSING", "no image is there", where=images, remedy=remedy)
    sizes = [read_size_wh(images / name) for name in names]
    listed = pl.DataFrame(
        {
            "image_id": range(len(names)),
            "file_name": names,
            "width": [w for w, _ in sizes],
            "height": [h for _, h in sizes],
        }
    )
    trained = load_trained(weights, device=device, imgsz=imgsz)
    files = [(i, images / name) for i, name in enumerate(names)]
    detections = trained.find(files, trained.category_ids, progress)
    ranked = rank_images(listed, detections, most=most).join(
        listed.select("image_id", "file_name"), on="image_id", how="left", maintain_order="left"
    )
    table = ranked.with_row_index("rank", offset=1).drop("image_id")
    with new_folder(out) as building:
        columns = ["rank", "file_name", "uncertainty", "novelty", "n_detections"]
        write_atomic(building / "ranking.csv", table.select(columns).write_csv(float_precision=4))
        write_atomic(building / "images.txt", "".join(f"{name}\n" for name in ranked["file_name"]))
    return ranked
