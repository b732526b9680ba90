"""Scenes as a data set: images in a folder and the table that belongs to them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.io import write_atomic
from detect_transfer.core.opening import real_path
from detect_transfer.synthetic.scene import draw_scene
from detect_transfer.synthetic.tasks import TASKS

_JPEG_QUALITY = 92
_VALIDATION_SEED = 1_000_003  # validation scenes come from another stream than training scenes
_SCENES_A_PROCESS = 32  # for fewer a process is not worth its start
_CHILD = "from detect_transfer.synthetic.dataset import _draw_for_parent; _draw_for_parent()"

_Rows = tuple[dict[str, Any], list[dict[str, Any]]]  # of an image and of its boxes
_SceneId = tuple[str, int, int]  # split, seed of its stream, index


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
    rows = _write_all(folder, task, size_wh, scenes)
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


def _write_all(folder: Path, task: str, size_wh: tuple[int, int], scenes: list[_SceneId]) -> list[_Rows]:
    """Draw scenes in this process and in others beside it; a share that another one fails at is drawn here.

    The others are commands: workers of `multiprocessing` would run the script of the user again, and a fork would copy
    the locks of threads that it does not have.
    """
    n = max(1, min(os.cpu_count() or 1, len(scenes) // _SCENES_A_PROCESS))
    shares = [scenes[i::n] for i in range(n)]
    children = [_start_child(folder, task, size_wh, share) for share in shares[1:]]
    try:
        drawn = [[_write_one(folder, task, size_wh, scene) for scene in shares[0]]]
        for child, share in zip(children, shares[1:], strict=True):
            output, _ = child.communicate()
            done = json.loads(output) if child.returncode == 0 else None
            drawn.append(done or [_write_one(folder, task, size_wh, scene) for scene in share])
    finally:
        for child in children:
            child.kill()
            child.wait()
    return [drawn[i % n][i // n] for i in range(len(scenes))]


def _start_child(folder: Path, task: str, size_wh: tuple[int, int], share: list[_SceneId]) -> subprocess.Popen[str]:
    """Start a process that draws scenes and prints their rows; it imports from where this one does."""
    work = json.dumps([str(real_path(folder)), task, size_wh, share])
    child = subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(real_path(Path(path))) for path in sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert child.stdin is not None
    with contextlib.suppress(BrokenPipeError), child.stdin:  # one that died at once is seen by its exit code
        child.stdin.write(work)
    child.stdin = None
    return child


def _draw_for_parent() -> None:
    """Draw the scenes that are named on the standard input; their rows go to the standard output."""
    folder, task, size_wh, scenes = json.load(sys.stdin)
    rows = [_write_one(Path(folder), task, tuple(size_wh), tuple(scene)) for scene in scenes]
    json.dump(rows, sys.stdout)


def _write_one(folder: Path, task: str, size_wh: tuple[int, int], scene_id: _SceneId) -> _Rows:
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
