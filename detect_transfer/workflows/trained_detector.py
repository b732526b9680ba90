"""A detector ready to find things: that of a run folder, of a weights file, or of a known name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import torch

from detect_transfer.config import Evaluate, load_config
from detect_transfer.core.annotations import Detections
from detect_transfer.core.errors import InputError
from detect_transfer.models import Detector, find_weights, load_detector, load_weights
from detect_transfer.models.device import choose_device
from detect_transfer.models.predict import predict, read_images
from detect_transfer.workflows.run_folder import RunFolder

_LEFT_OUT = -1  # the category of classes that nothing is to be found of


@dataclass(frozen=True)
class TrainedDetector:
    """A detector with the settings that its scores were made with.

    Args:
        detector: The network.
        path: Its weights.
        imgsz: The side that images are scaled to.
        settings: Score floor, suppression and caps.
        category_ids: The ids that its classes have in the data that it was trained on, else from 1.
        class_names: What its classes are called; several may share a name.
    """

    detector: Detector
    path: Path
    imgsz: int
    settings: Evaluate
    category_ids: tuple[int, ...]
    class_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Name the classes as the network does where nothing else is said."""
        if not self.class_names:
            object.__setattr__(self, "class_names", tuple(self.detector.class_names))

    def renamed(self, names: Mapping[str, str]) -> TrainedDetector:
        """Return the same detector with other names of some classes."""
        return replace(self, class_names=tuple(names.get(name, name) for name in self.class_names))

    def find(
        self,
        images: Sequence[tuple[int, Path]],
        category_ids: Sequence[int | None],
        progress: Callable[[int, int], None] | None = None,
    ) -> Detections:
        """Run the detector on images.

        Args:
            images: image_id and file of each.
            category_ids: The category that each of its classes becomes; what is found of a class with None is left out.
            progress: Told the number of images done and of all.
        """
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, len(images))

        ids = [_LEFT_OUT if i is None else i for i in category_ids]
        read = read_images(images, self.imgsz)
        detections = predict(self.detector, read, settings=self.settings, category_ids=ids, progress=advance)
        return (
            Detections(detections.rows.filter(pl.col("category_id") != _LEFT_OUT))
            if None in category_ids
            else detections
        )


def load_trained(source: str | Path, *, device: str = "auto") -> TrainedDetector:
    """Load the best weights of a run folder, a weights file of any kind that is read here, or a known name.

    Weights in a run folder bring the scoring settings of its config, others those of the defaults.

    Raises:
        InputError: There are no such weights, or they hold no whole detector.
    """
    path = Path(source)
    if path.is_dir():
        weights = RunFolder(path).best
    elif path.exists() or len(path.parts) > 1:
        weights = path
    else:
        weights = find_weights(str(source))
    if not weights.is_file():
        raise InputError(
            "RUN_MISSING",
            "neither a run folder with weights/best.safetensors nor a file of weights",
            where=source,
            remedy="give the folder that training printed, or weights",
        )
    loaded = load_weights(weights)
    config = RunFolder.of(weights).config
    in_run = weights.parent.name == "weights" and config.is_file()
    detector = load_detector(loaded)
    detector.module.to(choose_device(device, field="--device")).to(memory_format=torch.channels_last)
    return TrainedDetector(
        detector,
        weights,
        int(loaded.metadata.get("imgsz", "640")),
        load_config(config).evaluate if in_run else Evaluate(),
        loaded.category_ids or tuple(range(1, len(detector.class_names) + 1)),
    )
