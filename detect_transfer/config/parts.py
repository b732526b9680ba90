"""The parts of a run config, save the transfer plan."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from detect_transfer.config.augment import Augment, own_transforms_text, presets_text
from detect_transfer.config.strict import ImageSides, Positive, Rate, Strict
from detect_transfer.config.transfer import Schedule, Transfer
from detect_transfer.core.input_size import InputSize


class Synthetic(Strict):
    """Street scenes that the project draws itself."""

    task: Literal["source", "target"] = "target"
    """`source`: signs by day, as the embedded checkpoint knows them. `target`: other signs, at dusk."""
    train_images: Positive = 240
    """Number of training scenes."""
    val_images: Positive = 80
    """Number of validation scenes."""
    size: Annotated[int, Field(ge=64, le=2048)] = 320
    """Width and height of a scene in pixels."""


class Intake(Strict):
    """Which values are black and white in images of one channel with more than 8 bits or of floating point.

    It is stored with the weights, and prediction and evaluation read images by it.
    """

    window: Literal["percentile", "fixed", "per_camera"] = "percentile"
    """`percentile`: of each image by itself. `fixed`: from `low` to `high`, the same for all. `per_camera`: the
    percentiles over the training images of each camera, so that a value means the same in all of its images."""
    bits: Annotated[int, Field(ge=9, le=16)] = 16
    """Bits that the values use; `fixed` without `high` goes up to the largest of them, 65535 for 16."""
    low: float | None = None
    """What becomes black: a value for `fixed` (without it 0), else a percentile in [0, 100] (without it 0.5)."""
    high: float | None = None
    """What becomes white: a value for `fixed`, else a percentile in [0, 100] (without it 99.5)."""
    camera: str | None = None
    """`per_camera`: a regular expression that finds the camera in the path of an image, by its group if it has one,
    such as `(cam[0-9]+)_`; without it all images are of one camera."""

    @model_validator(mode="after")
    def _in_range(self) -> Intake:
        low, high = self.bounds
        if low >= high:
            raise ValueError(f"low ({low:g}) must be below high ({high:g})")
        if self.window != "fixed" and not (low >= 0 and high <= 100):
            raise ValueError(f"percentiles are in [0, 100], and low is {low:g}, high {high:g}")
        try:
            re.compile(self.camera or "")
        except re.error as error:
            raise ValueError(f"camera is no regular expression: {error}") from error
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Low and high, with the defaults of the window."""
        first, last = (0.0, 2.0**self.bits - 1) if self.window == "fixed" else (0.5, 99.5)
        return first if self.low is None else self.low, last if self.high is None else self.high


class Data(Strict):
    """Where images and annotations are: one of `path`, `train_json` with `val_json`, or `synthetic`."""

    path: Path | None = None
    """Your data: a data folder that `convert` wrote, or a folder or file of any format that `convert` knows. What has
    no `train_split` and `val_split`, or frames of videos, is converted into the run folder first, with links to the
    images."""
    format: str = "auto"
    """A format that `convert` knows, or `auto`: the one that shows, or whose reader alone can read what is there."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Options of the reader by name, such as `one_based: true`; those that `convert --option` takes."""
    train_json: Path | None = None
    """COCO instances to train on; together with `val_json`."""
    val_json: Path | None = None
    """COCO instances to score on."""
    images: Path | None = None
    """The folder that `file_name` is relative to; without it the images are looked for beside the annotations."""
    synthetic: Synthetic | None = None
    """Drawn street scenes instead of data on the disk."""
    train_split: str = "train"
    """The split to train on."""
    val_split: str = "val"
    """The split that every epoch is scored on, and that the best epoch is chosen by."""
    test_split: str | None = None
    """A split that is scored once, at the end, with the weights and the thresholds that were chosen on the other."""
    split_file: Path | None = None
    """A `splits.json` as `convert` writes it: the images of each split by file name. Images that it does not name are
    left out, so that a run can train on a part of the data; the splits of the data themselves do not count then."""
    bad_boxes: Literal["auto", "error", "fix"] = "auto"
    """Objects whose box reaches more than 1 px past its image, or is less than 1 px wide or high: an `error`, or `fix`
    them: clip them, leave out what has no pixel, and count both in the ledger. `auto` fixes those of published sets,
    whose boxes mean the whole object where an edge cuts it, and refuses all others."""
    verify: Literal["changed", "full"] = "changed"
    """Which images of a data folder are read whole before a run, and compared with what was written: `changed`, those
    whose length, inode or times are not those that `convert` noted (it does from 1,000 images on), or all (`full`)."""
    allow_missing: bool = False
    """An image without a label file (or its like in other formats) has no objects; else it is an error."""
    intake: Intake | None = None
    """What becomes of images with more than 8 bits; without it the high byte of sixteen is taken."""

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        pair = self.train_json is not None and self.val_json is not None
        given = [self.path is not None, pair, self.synthetic is not None]
        if sum(given) != 1 or (self.train_json is None) != (self.val_json is None):
            raise ValueError("give exactly one of data.path, data.train_json with data.val_json, or data.synthetic")
        return self


class Model(Strict):
    """Which detector, and what it starts from."""

    family: str = "yolo"
    """`yolo`: the networks of ultralytics. `torchvision`: Faster R-CNN, RetinaNet, FCOS and SSDlite. `transformers`:
    D-FINE, RT-DETRv2 and RF-DETR of Hugging Face, with `pip install 'detect-transfer[transformers]'`."""
    arch: str | None = None
    """The architecture; without it that of the weights."""
    backbone: str | None = None
    """Torchvision with `arch: fasterrcnn`: a classification network of torchvision."""
    weights: str = "yolo11n"
    """A known name, a `.pt`, `.pth`, `.bin`, `.ckpt` or `.safetensors` file, a folder of the hub of Hugging Face with
    `config.json`, `embedded` or `scratch`; a name or file may state the hash that it must have, as
    `yolov9c@sha256:HASH`. A list of these is `sources`."""
    sources: list[str] = Field(default_factory=list)
    """Several weights of one family: each is asked before training what it knows of the training images, and the run
    starts from the best, which then stands as `weights`."""
    anchors: Literal["stock", "fit"] = "stock"
    """Torchvision: `stock` anchors, or `fit` them to the boxes of the training images."""
    sampled_regions: Positive = 64
    """Faster R-CNN: how many regions of an image the head learns from."""
    training_proposals: Positive = 256
    """Faster R-CNN: from how many proposals of an image these are sampled."""
    proposals: Positive | Literal["auto"] = "auto"
    """Faster R-CNN: proposals of an image in evaluation; `auto`: as in torchvision, mostly 1000."""

    @model_validator(mode="before")
    @classmethod
    def _list_of_weights(cls, keys: Any) -> Any:
        """Take a list of weights as the sources; the first stands for them until one is chosen."""
        if not isinstance(keys, dict):
            return keys
        if isinstance(keys.get("weights"), list):
            if not keys["weights"]:
                raise ValueError("model.weights is an empty list; name weights, or scratch")
            if keys.get("sources"):
                raise ValueError("give several weights as model.weights or as model.sources, not as both")
            several = {"sources": keys["weights"]} if len(keys["weights"]) > 1 else {}
            keys = {**keys, **several, "weights": keys["weights"][0]}
        elif isinstance(keys.get("sources"), list) and keys["sources"] and "weights" not in keys:
            keys = {**keys, "weights": keys["sources"][0]}
        return keys

    @model_validator(mode="after")
    def _sources(self) -> Model:
        if len(self.sources) == 1 or len(set(self.sources)) < len(self.sources):
            raise ValueError("a choice is of two different weights or more; give one as model.weights=NAME")
        if "scratch" in self.sources:
            raise ValueError("scratch is no source that can be asked; remove it from the list")
        if self.sources and self.weights not in self.sources:
            raise ValueError("model.weights is none of model.sources; remove it, or name it there")
        return self


class Train(Strict):
    """How training runs."""

    epochs: Positive = 20
    """Epochs of a named strategy; phases have their own."""
    batch: Positive = 16
    """Images a step, over all devices."""
    imgsz: ImageSides = InputSize(640, 640)
    """The longer side of the images in pixels; or height and width that they are scaled into, such as `416x704` or
    `[416, 704]`. Multiples of 32, at most 8192."""
    batch_shapes: Literal["one", "like"] = "one"
    """`one`: training images are padded to all of `imgsz`. `like`: images of like shape share batches, padded no
    further than they need; scoring and prediction pad so always."""
    lr: Rate | None = None
    """Learning rate of a named strategy; without it the strategy's own."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    """Weight decay of AdamW."""
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Share of the steps of a phase in which the rate rises."""
    schedule: Schedule = "cosine"
    """How the rate goes from its highest to its last value."""
    lr_end: Annotated[float, Field(ge=0, le=1)] = 0.02
    """The last rate as a share of the highest."""
    clip_norm: Annotated[float, Field(gt=0)] = 10.0
    """Largest norm of the gradient."""
    patience: Positive | None = None
    """Epochs without a better AP before training stops or tries its next start."""
    accumulate: Positive = 1
    """Parts that a batch is computed in, where memory does not hold it whole. The gradient is that of the whole batch
    where no batch norm trains (`transfer.batchnorm` frozen); else each part is normalized by its own statistics."""
    on_not_finite: Literal["stop", "roll_back"] = "stop"
    """When the loss is not finite: `stop`, or `roll_back` an epoch and halve the rate, three times at most."""
    class_balance: Literal["none", "repeat", "weights", "both"] = "none"
    """`repeat` images of classes that fewer than a tenth of the images have (Gupta et al. 2019, "LVIS": in an epoch
    sqrt(0.1 / share) times), use `weights` for rare classes in the loss, or both."""
    mosaic: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of the images that are laid together with three others, whatever `augment` has for `Mosaic`."""
    mosaic_until: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Share of the epochs of each phase after which there are no mosaics, pasted objects and images over each other:
    its last epochs see the images as they are."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of everything random."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `mps`."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of training; `auto` takes bfloat16 where the machine has it. Scoring is always in fp32."""
    workers: Annotated[int, Field(ge=0, le=256)] | Literal["auto"] = "auto"
    """Processes that load images, of each device, at most 256. `auto`: none where a CPU trains, else 8 at most, as many
    as there are cores for."""
    decode: Literal["full", "scaled"] = "full"
    """How training images are decoded. `scaled`: JPEGs that are at least twice as large as `imgsz` at a smaller scale,
    which is faster and gives nearly the same pixels. Images that are scored or predicted on are decoded in full."""
    cache: Literal["auto", "memory", "disk", "none"] = "auto"
    """Where fitted images and features are kept; `auto` takes memory if they fit."""
    cache_mb: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """Memory for the cache in MB; `auto` takes a share of what is free."""
    cache_folder: Path | None = None
    """A folder that keeps fitted training images for other runs, which need not decode what has not changed since."""
    cache_folder_mb: Positive = 20_000
    """What `cache_folder` may hold in MB: what no run used for the longest time goes first."""


class Evaluate(Strict):
    """How a model is scored."""

    score_floor: Annotated[float, Field(ge=0, lt=1)] = 0.001
    """Detections below this score are left out."""
    nms_iou: Annotated[float, Field(gt=0, le=1)] | Literal["auto"] = "auto"
    """Of two boxes of a class with a larger IoU the one with the lower score goes; `auto`: 0.7 for YOLO, torchvision's
    own value for its architectures (Faster R-CNN and RetinaNet 0.5, FCOS 0.6, SSDlite 0.55)."""
    multi_label: bool = True
    """A box is a detection of each class whose score is above the floor; else of its best class alone."""
    agnostic: bool = False
    """Boxes of different classes suppress each other too."""
    max_detections: Positive = 300
    """Detections kept of an image."""
    batch: Positive = 16
    """Images a step."""
    train_images: Annotated[int, Field(ge=0)] = 0
    """Training images, a fixed part and without augmentation, that each epoch is scored on beside the validation split:
    `train_AP` in `metrics.jsonl`, which shows how far a network learns by heart. 0: none."""
    ignore_policy: Literal["region", "strict"] = "region"
    """`region`: ignored regions excuse detections by the share that lies in them. `strict`: as pycocotools."""


class Mirror(Strict):
    """Whether training images are mirrored."""

    images: bool | Literal["auto"] = "auto"
    """`auto`: not where class names or the card of the data set tell sides apart. `true`, `false`: always, never."""
    pairs: dict[str, str] = Field(default_factory=dict)
    """Classes that are each other's mirror image, such as `turn left: turn right`; they are swapped with the image."""


class Track(Strict):
    """Where else the metrics of a run go."""

    to: list[Literal["csv", "tensorboard", "mlflow", "wandb", "trackio"]] = Field(default_factory=list)
    """Trackers, each an extra of its name but `csv`: files in `tracking` of the run folder, and trackio's own store.
    Nothing leaves the machine unless `MLFLOW_TRACKING_URI` or `WANDB_MODE` says so. One that fails never ends a run."""
    project_name: Annotated[str, Field(min_length=1)] = "detect_transfer"
    """What runs are filed under there."""


class RunConfig(Strict):
    """Everything that a training run depends on."""

    data: Data
    """What is trained and scored on."""
    model: Model = Model()
    """Which detector, and what it starts from."""
    transfer: Transfer = Transfer()
    """What is taken over from the source, and what trains when."""
    train: Train = Train()
    """How training runs."""
    augment: Augment = Field(
        "default",
        description="What training images go through: a preset, `none`, or a list of presets and of transforms by "
        f"class name with their arguments, those of albumentations or ours. {own_transforms_text()} Of each of the "
        f"first three the last in a list counts. The presets: {presets_text()}.",
    )
    mirror: Mirror = Mirror()
    """Whether training images are mirrored."""
    evaluate: Evaluate = Evaluate()
    """How a model is scored."""
    track: Track = Track()
    """Where else the metrics of a run go."""
    out: Path | None = None
    """The run folder; without it `runs/` and the name of the config, numbered."""
