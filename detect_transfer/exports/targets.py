"""Where each target format stands in a data folder. Imports its own room, `ledger` and `table`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from detect_transfer.exports.coco import write_coco
from detect_transfer.exports.cvat import write_cvat
from detect_transfer.exports.ignore import IgnorePlan
from detect_transfer.exports.parquet import write_parquet
from detect_transfer.exports.voc import write_voc
from detect_transfer.exports.yolo import write_labels
from detect_transfer.ledger import Ledger

Writer = Callable[[IgnorePlan, Path, Ledger], None]

DEFAULT_TARGETS = ("coco", "yolo")


def _write_coco(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    for split in plan.table.splits:
        write_coco(plan.table.split_of(split), out / "annotations" / f"instances_{split}.json", ledger=ledger)


def _write_yolo(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    write_labels(plan, out, ledger=ledger)


def _write_voc(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    write_voc(plan.table, out / "voc", ledger=ledger)
    (out / "voc" / "JPEGImages").symlink_to("../images")


def _write_cvat(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    write_cvat(plan.table, out / "cvat" / "annotations.xml", ledger=ledger)


def _write_parquet(plan: IgnorePlan, out: Path, ledger: Ledger) -> None:
    write_parquet(plan.table, out / "parquet", ledger=ledger)


WRITERS: dict[str, Writer] = {
    "coco": _write_coco,
    "cvat": _write_cvat,
    "parquet": _write_parquet,
    "voc": _write_voc,
    "yolo": _write_yolo,
}


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
