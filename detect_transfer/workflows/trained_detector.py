"""A detector ready to find things: of a run folder, of a weights file, of a known name, or exported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import cast

import torch
from pydantic import ValidationError

from detect_transfer.config import Evaluate
from detect_transfer.core.annotations import Detections
from detect_transfer.core.errors import InputError
from detect_transfer.core.image_sources import SourceImage
from detect_transfer.core.images import read_rgb
from detect_transfer.core.input_size import InputSize, Sides
from detect_transfer.core.intake import Intake
from detect_transfer.core.opening import is_special, not_regular
from detect_transfer.core.tiles import Tiling
from detect_transfer.models import find_weights, load_detector, load_weights
from detect_transfer.models.base import Detector, Prediction, Predictor
from detect_transfer.models.device import choose_device
from detect_transfer.models.export.targets import exported_path, open_exported
from detect_transfer.models.predict import detections_of, predict, read_images
from detect_transfer.models.stream import StreamOptions, detect_stream
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.thresholds import has_thresholds, read_thresholds

_DEFAULT_IMGSZ = 640


@dataclass(frozen=True)
class TrainedDetector:
    """A detector with the settings that its scores were made with.

    Args:
        detector: The network.
        path: Its weights.
        imgsz: What images are scaled into.
        settings: Score floor, suppression and caps.
        category_ids: The ids that its classes have in the data that it was trained on, else from 1.
        imgsz_from: Where `imgsz` comes from, in words.
        truth_names: The class of the truth that a class counts as, where that has another name or there is none.
        exported_thresholds: The score threshold of each class that an exported model carries; None for all others.
        intake: The window of values of more than 8 bits that it was trained with.
        tiling: How `find` cuts images into tiles, beside which it looks at the whole image too; None takes it alone.
    """

    detector: Predictor
    path: Path
    imgsz: InputSize
    settings: Evaluate
    category_ids: tuple[int, ...]
    imgsz_from: str = "as it was trained"
    truth_names: Mapping[str, str | None] = field(default_factory=dict)
    exported_thresholds: Mapping[str, float] | None = None
    intake: Intake | None = None
    tiling: Tiling | None = None

    @property
    def network(self) -> Detector:
        """The detector with all that training and exporting need.

        Raises:
            InputError: It is an exported model, which predicts alone.
        """
        if exported_path(self.path) is not None:
            raise InputError(
                "WEIGHTS_EXPORTED",
                "it is an exported model, which predicts alone",
                where=self.path,
                remedy="give the run or the weights that it was exported from",
            )
        return cast(Detector, self.detector)

    def stored_thresholds(self) -> dict[str, float] | None:
        """Return the score threshold of each class that is stored with it; None where none are.

        Raises:
            InputError: The file of them is damaged.
        """
        if exported_path(self.path) is not None:
            return None if self.exported_thresholds is None else dict(self.exported_thresholds)
        return read_thresholds(self.path) if has_thresholds(self.path) else None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Its classes in order."""
        return tuple(self.detector.class_names)

    @property
    def input_facts(self) -> str:
        """The size of its input, where that comes from, the tiles, and the window of its values."""
        window = "" if self.intake is None else f"; values of more than 8 bits by a {self.intake.window} window"
        cut = self.tiling
        tiles = "" if cut is None else f"; whole images and tiles of {cut.size} px, overlap {cut.overlap:g}"
        return f"{self.imgsz} px, {self.imgsz_from}{tiles}{window}"

    def counted_as(self, meeting: Mapping[str, str]) -> TrainedDetector:
        """Return the same detector whose classes count as these of a truth; those that are not named leave."""
        return replace(self, truth_names={name: meeting.get(name) for name in self.class_names})

    def find(
        self,
        images: Sequence[tuple[int, Path]],
        category_ids: Sequence[int],
        progress: Callable[[int, int], None] | None = None,
    ) -> Detections:
        """Run the detector on images.

        Args:
            images: image_id and file of each.
            category_ids: The category that each of its classes becomes.
            progress: Called with the number of images done and of all.

        Raises:
            InputError: An image cannot be read.
        """
        if self.tiling is not None:
            return self._find_in_tiles(images, category_ids, progress)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, len(images))

        read = read_images(images, self.imgsz, self.intake)
        return predict(self.detector, read, settings=self.settings, category_ids=category_ids, progress=advance)

    def _find_in_tiles(
        self,
        images: Sequence[tuple[int, Path]],
        category_ids: Sequence[int],
        progress: Callable[[int, int], None] | None,
    ) -> Detections:
        sources = (SourceImage(path.name, partial(read_rgb, path, intake=self.intake)) for _, path in images)
        stream = StreamOptions(self.imgsz, self.settings, tiling=self.tiling)
        found: list[tuple[int, Prediction]] = []
        for (image_id, _), result in zip(images, detect_stream(self.detector, sources, stream), strict=True):
            if result.error is not None:
                raise result.error
            found.append((image_id, result.prediction))
            if progress is not None:
                progress(result.number + 1, len(images))
        return detections_of(found, category_ids)


def chosen_settings(own: Evaluate, **chosen: object) -> Evaluate:
    """Return settings with what a call chooses by name; None chooses nothing.

    Raises:
        InputError: A choice is out of its range.
    """
    given = {key: value for key, value in chosen.items() if value is not None}
    try:
        return Evaluate.model_validate({**own.model_dump(), **given})
    except ValidationError as error:
        detail = error.errors()[0]
        key = str(detail["loc"][0])
        remedy = f"detect-transfer config --explain evaluate.{key} has its range"
        raise InputError("OPTION", detail["msg"], field=key, value=given[key], remedy=remedy) from error


def best_weights(source: str | Path) -> Path:
    """Return the best weights of a run folder, a weights file as it is, or the file of a known name.

    Raises:
        InputError: There are no such weights.
        ResourceError: The name is known but its file cannot be had.
    """
    path = Path(source)
    if (exported := exported_path(path)) is not None:
        weights = exported
    elif path.is_dir():
        weights = RunFolder(path).best
    elif path.exists() or (len(path.parts) > 1 and not path.suffix):
        weights = path
    else:
        weights = find_weights(str(source))
    if is_special(weights):
        raise not_regular(weights)
    if not weights.is_file() and exported is None:
        raise InputError(
            "RUN_MISSING",
            "neither a run folder with weights/best.safetensors nor a file of weights, nor an exported model",
            where=source,
            remedy="give the folder that training printed, or weights",
        )
    return weights


def load_trained(
    source: str | Path, *, device: str = "auto", imgsz: Sides | None = None, trusts: bool = False
) -> TrainedDetector:
    """Load the best weights of a run folder, a weights file of any kind that is read here, or a known name.

    Weights in a run folder bring the scoring settings of its config, others those of the defaults.

    An exported model is run by its runtime, on the CPU, with the settings that it carries.

    Args:
        source: The folder, the file or the name.
        device: auto, cpu or cuda.
        imgsz: The side, or height and width, that images are scaled into; None takes those of training where the
            weights name them, else 640.
        trusts: Take the files of a run as they are; else its weights must be as its manifest states.

    Raises:
        InputError: There are no such weights, they hold no whole detector, or they are others than the run wrote.
    """
    size = None if imgsz is None else InputSize.of_option(imgsz)
    weights = best_weights(source)
    if exported_path(weights) is not None:
        return _load_exported(weights, device=device, imgsz=size)
    loaded = load_weights(weights)
    if (run := RunFolder.holding(weights)) is not None:
        run = replace(run, trusts=trusts)
        run.as_written(weights)
    detector = load_detector(loaded)
    detector.module.to(choose_device(device, field="--device")).to(memory_format=torch.channels_last)
    settings = Evaluate() if run is None else run.read_config().evaluate
    ids = loaded.category_ids or tuple(range(1, len(detector.class_names) + 1))
    stated = loaded.metadata.get("imgsz")
    origin = "the default, as the weights do not say at which they were trained; --imgsz gives another"
    if size is not None:
        origin = "as --imgsz asks"
    elif stated is not None:
        origin = "as it was trained"
    size = size or InputSize.of(stated or _DEFAULT_IMGSZ)
    intake = Intake.from_json(loaded.metadata["intake"], weights) if "intake" in loaded.metadata else None
    return TrainedDetector(detector, weights, size, settings, ids, origin, intake=intake)


def _load_exported(path: Path, *, device: str, imgsz: InputSize | None) -> TrainedDetector:
    """Open an exported model; its size is free where its graph takes any.

    Raises:
        InputError: It is damaged, another device is asked for, or another size than it takes.
    """
    if device not in ("auto", "cpu"):
        raise InputError(
            "DEVICE_MISSING",
            "exported models are run on the CPU here",
            field="--device",
            value=device,
            remedy="leave --device out, or give the weights that it was exported from",
        )
    detector = open_exported(path)
    about = detector.export
    if imgsz not in (None, about.size) and about.fixed is not None:
        raise InputError(
            "EXPORT_SIZE",
            f"the model takes images of {about.size} px alone",
            where=path,
            field="--imgsz",
            value=imgsz and imgsz.plain,
            remedy=f"leave --imgsz out, or export it again with --imgsz {imgsz}",
        )
    return TrainedDetector(
        detector,
        path,
        imgsz or about.size,
        about.settings,
        about.category_ids,
        "as it was exported" if imgsz in (None, about.size) else "as --imgsz asks",
        exported_thresholds=about.thresholds,
        intake=None if about.intake is None else Intake.from_json(about.intake, path),
    )
