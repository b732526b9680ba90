"""Exports: one writer a target format. Rank 3: imports only errors, boxes, images, files, table and ledger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from detect_transfer.exports.coco import write_coco
from detect_transfer.exports.yolo import write_yolo

WRITERS: dict[str, Callable[..., Any]] = {
    "coco": write_coco,
    "yolo": write_yolo,
}

__all__ = ["WRITERS", "write_coco", "write_yolo"]
