"""How long a run will take here: a few of its images go through all its phases, one epoch each."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from detect_transfer.config import RunConfig
from detect_transfer.core.counted import counted
from detect_transfer.core.io import write_json
from detect_transfer.data.run_data import RunData, load_run_data
from detect_transfer.data.split_file import SPLITS_VERSION
from detect_transfer.models.device import choose_device
from detect_transfer.workflows.run_clock import BETWEEN_EPOCHS, RunClock
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.run_source import make_run_data
from detect_transfer.workflows.train import dry_run, train

_BATCHES, _VAL_IMAGES = 2, 8


@dataclass(frozen=True)
class Estimate:
    """The time of a run in seconds, and where it was measured."""

    seconds: float
    machine: str


def estimate_seconds(config: RunConfig, scratch: Path) -> Estimate:
    """Return how long training and scoring by a config take, by training on a few images in a scratch folder.

    Raises:
        InputError: Data, weights or config are wrong: the run itself would end so.
        ResourceError: Weights, memory or disk are missing.
    """
    folder = RunFolder(scratch)
    native = make_run_data(config, folder.drawn_data, on_stage=lambda _: None)
    data = load_run_data(config.data, drawn=folder.drawn_data, native=native)
    plan = dry_run(config, scratch=scratch)[0]
    few = _few_images(config, folder, data)
    logging.disable(logging.WARNING)  # what is odd about a few images says nothing of all
    try:
        result = train(few, name="estimate", command="init")
    finally:
        logging.disable(logging.NOTSET)
    clock = RunClock(plan, data.train.images.height, data.val.images.height)
    scored = min(_VAL_IMAGES, data.val.images.height)
    longer = BETWEEN_EPOCHS * data.train.images.height / result.train_images
    for row in result.progress.history:
        score = row["score_seconds"] * data.val.images.height / scored
        clock.note_measured(row["phase"], row.get("train_seconds", 0.0) * longer, score)
    device = choose_device(config.train.device)
    machine = counted(torch.get_num_threads(), "CPU thread") if device.type == "cpu" else str(device)
    return Estimate(clock.seconds_left(), machine)


def _few_images(config: RunConfig, folder: RunFolder, data: RunData) -> RunConfig:
    """Return the config of a run of one epoch a phase on a few images."""
    chosen = {
        config.data.train_split: (data.train, _BATCHES * config.train.batch),
        config.data.val_split: (data.val, _VAL_IMAGES),
    }
    splits = {}
    for split, (table, count) in chosen.items():
        with_objects = table.images.join(table.boxes, on="image_id", how="semi", maintain_order="left")
        splits[split] = with_objects["file_name"].gather_every(max(1, with_objects.height // count)).to_list()[:count]
    path = folder.path / "few.json"
    write_json(path, {"splits_version": SPLITS_VERSION, "splits": splits})
    changes: dict[str, Any] = {"path": folder.data_of(config.data), "split_file": path, "test_split": None}
    if folder.drawn_data.exists():
        changes |= {"format": "data_folder", "options": {}}
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=changes),
            "train": config.train.model_copy(update={"epochs": 1}),
            "out": folder.path / "run",
        }
    )
