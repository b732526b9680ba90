"""Which target formats a data folder gets, and where each stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import write_atomic
from detect_transfer.core.ledger import Ledger
from detect_transfer.formats.coco.writer import write_coco
from detect_transfer.formats.cvat.writer import write_cvat
from detect_transfer.formats.parquet.writer import write_parquet
from detect_transfer.formats.voc.writer import write_voc
from detect_transfer.formats.writing.beside_images import (
    link_images,
    write_fiftyone,
    write_hugging_face,
    write_roboflow,
)
from detect_transfer.formats.writing.datumaro import write_datumaro
from detect_transfer.formats.writing.ignored_regions import IgnorePlan
from detect_transfer.formats.writing.label_studio import write_label_studio
from detect_transfer.formats.yolo.writer import write_labels

Writer = Callable[[IgnorePlan, Path, Ledger], None]

DEFAULT_TARGETS = ("coco", "yolo")
_NEED_SIZES = ("cvat", "label_studio", "yolo")
HAVE_FILE_A_STEM = frozenset({"voc", "yolo"})


def _write_coco(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    whole = plan.table.in_memory()
    for split in whole.splits:
        table = whole.split_of(split)
        below = split if table.images["file_name"].str.starts_with(f"{split}/").all() else ""
        write_coco(table, out / "annotations" / f"instances_{split}.json", below=below, ledger=ledger)


def _write_yolo(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    write_labels(plan, out, ledger)
    if not (out / "images").is_dir():  # a data.yaml would point at nothing; the names alone are of use
        (out / "data.yaml").unlink()
        write_atomic(out / "classes.txt", "".join(f"{' '.join(name.split())}\n" for name in plan.table.class_names))


def _write_voc(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    write_voc(plan.table.in_memory(), out / "voc", ledger=ledger)
    link_images(plan.table.in_memory(), out / "images", out / "voc" / "JPEGImages")


def _write_cvat(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    write_cvat(plan.table.in_memory(), out / "cvat" / "annotations.xml", ledger=ledger)


def _write_parquet(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    write_parquet(plan.table, out / "parquet", ledger=ledger)


def _write_datumaro(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    write_datumaro(plan.table.in_memory(), out / "datumaro", ledger=ledger)
    link_images(plan.table.in_memory(), out / "images", out / "datumaro" / "images")


def _write_label_studio(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    write_label_studio(plan.table.in_memory(), out / "label_studio", ledger=ledger)


def _beside_images(write: Callable[..., None]) -> Writer:
    def write_beside(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
        write(plan.table.in_memory(), out, ledger=ledger)

    return write_beside


WRITERS: dict[str, Writer] = {
    "coco": _write_coco,
    "cvat": _write_cvat,
    "datumaro": _write_datumaro,
    "fiftyone": _beside_images(write_fiftyone),
    "hugging_face": _beside_images(write_hugging_face),
    "label_studio": _write_label_studio,
    "parquet": _write_parquet,
    "roboflow": _beside_images(write_roboflow),
    "voc": _write_voc,
    "yolo": _write_yolo,
}


def choose_targets(names: Sequence[str] | None, images: pl.DataFrame, ledger: Ledger) -> tuple[str, ...]:
    """Return the formats to write; without a wish those of `DEFAULT_TARGETS` for which enough is known.

    Args:
        names: Keys of `WRITERS`, or None.
        images: With the sizes that are known.
        ledger: Gets a step for each format that is left out.

    Raises:
        InputError: A format that is asked for needs the size of every image, and one is not known.
    """
    chosen = DEFAULT_TARGETS if names is None else tuple(names)
    unsized = images.filter(pl.col("width").is_null() | pl.col("height").is_null())["file_name"]
    needing = [target for target in chosen if target in _NEED_SIZES]
    if unsized.is_empty() or not needing:
        return chosen
    if names is not None:
        raise InputError(
            *("SIZE_UNKNOWN", f"{needing[0]} needs the size of every image; that of {len(unsized)} is unknown"),
            field="file_name",
            value=unsized[0],
            remedy="it needs the images: convert with --image-mode copy or link; or leave it out of --to",
        )
    for target in needing:
        step = ledger.open(target, images=len(images), boxes=0)
        step.add("image", "noted", "size not known: no labels are written for any image", len(unsized), unsized)
        step.close(images_out=len(images), boxes_out=0)
    return tuple(target for target in chosen if target not in needing)


def write_targets(plan: IgnorePlan, targets: Sequence[str], out: Path, ledger: Ledger) -> None:
    """Write a data folder's annotations in each of the target formats.

    Args:
        plan: What to write; `file_name` is relative to `out/images/`.
        targets: Keys of `WRITERS`.
        out: The data folder.
        ledger: Gets the steps of every writer.

    Raises:
        InputError: A target cannot hold a name, or lacks the size of an image.
        ResourceError: The disk is full or does not let us write.
    """
    for target in targets:
        WRITERS[target](plan, out, ledger)
