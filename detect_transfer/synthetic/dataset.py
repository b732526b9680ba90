"""Scenes as a data set: images in a folder and the table that belongs to them."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.io import write_atomic
from detect_transfer.synthetic.scene import draw_scene
from detect_transfer.synthetic.tasks import TASKS

_JPEG_QUALITY = 92
_VALIDATION_SEED = 1_000_003  # validation scenes come from another stream than training scenes


def write_scenes(
    folder: Path, task: str, *, counts: dict[str, int], seed: int, size_wh: tuple[int, int] = (320, 320)
) -> AnnotationTable:
    """Draw scenes of a task into `folder` and return their table.

    Args:
        folder: Gets a sub-folder a split with JPEG images.
        task: `source` or `target`.
        counts: Images of each split; every split is a stream of its own.
        seed: The seed of the streams.
        size_wh: Width and height of an image in pixels.
    """
    scenes = [
        (split, seed + _VALIDATION_SEED * k, i) for k, (split, count) in enumerate(counts.items()) for i in range(count)
    ]
    draw = partial(_write_one, folder, task, size_wh)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        rows = list(pool.map(draw, scenes, chunksize=16))
    names = [sign.name for sign in TASKS[task].classes]
    images = [{"image_id": i, **image} for i, (image, _) in enumerate(rows, 1)]
    boxes = [{"image_id": i, **box} for i, (_, drawn) in enumerate(rows, 1) for box in drawn]
    return AnnotationTable.from_columns(
        images=pl.DataFrame(images),
        boxes=pl.DataFrame(boxes).with_row_index("annotation_id", offset=1) if boxes else {},
        categories={
            "category_id": range(1, len(names) + 1),
            "name": names,
            "supercategory": ["sign"] * len(names),
        },
        image_root=folder,
    )


def _write_one(
    folder: Path, task: str, size_wh: tuple[int, int], scene_id: tuple[str, int, int]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Draw one scene, write its image and return its image row and its box rows."""
    split, seed, index = scene_id
    scene = draw_scene(TASKS[task], seed=seed, index=index, size_wh=size_wh)
    name = f"{split}/{index:05d}.jpg"
    _, encoded = cv2.imencode(".jpg", scene.image_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    write_atomic(folder / name, encoded.tobytes())
    image = {"file_name": name, "width": size_wh[0], "height": size_wh[1], "split": split}
    boxes = [
        {
            "category_id": int(scene.class_index[i]) + 1,
            **dict(zip(XYXY, map(float, scene.xyxy[i]), strict=True)),
            "occluded": 1.0 - float(scene.visible[i]),
            "source": f"scene {seed}/{index}",
        }
        for i in range(len(scene.xyxy))
    ]
    return image, boxes
