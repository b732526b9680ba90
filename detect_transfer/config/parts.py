"""The parts of a run config, save the transfer plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from detect_transfer.config.strict import Positive, Rate, Strict
from detect_transfer.config.transfer import Schedule, Transfer


class Synthetic(Strict):
    """Street scenes that the project draws itself."""

    task: Literal["source", "target"] = "target"
    train_images: Positive = 240
    val_images: Positive = 80
    size: Annotated[int, Field(ge=64, le=2048)] = 320


class Data(Strict):
    """Where images and annotations are: one of `path`, `train_json` with `val_json`, or `synthetic`."""

    path: Path | None = None  # a data folder, or a folder or file of the format named below
    format: str = "auto"  # auto: our data folder, a COCO folder, or an ultralytics data.yaml
    train_json: Path | None = None
    val_json: Path | None = None
    images: Path | None = None  # the folder that file_name is relative to; found by itself where possible
    synthetic: Synthetic | None = None
    train_split: str = "train"
    val_split: str = "val"
    allow_missing_labels: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        pair = self.train_json is not None and self.val_json is not None
        given = [self.path is not None, pair, self.synthetic is not None]
        if sum(given) != 1 or (self.train_json is None) != (self.val_json is None):
            raise ValueError("give exactly one of data.path, data.train_json with data.val_json, or data.synthetic")
        return self


class Model(Strict):
    """Which detector, and what it starts from."""

    family: Literal["yolo", "torchvision"] = "yolo"
    arch: str | None = None  # None: what the weights say
    backbone: str | None = None  # torchvision with arch `fasterrcnn`: any classification network
    weights: str = "yolo11n"  # a known name, a .pt, .pth or .safetensors path, `embedded`, or `scratch`
    anchors: Literal["stock", "fit"] = "stock"  # torchvision: fit them to the box sizes of the training images
    sampled_regions: Positive = 64  # torchvision Faster R-CNN: regions of an image that the head learns from

    @model_validator(mode="after")
    def _of_one_family(self) -> Model:
        stock = {"backbone": None, "anchors": "stock", "sampled_regions": 64}
        given = [name for name, value in stock.items() if getattr(self, name) != value]
        if self.family == "yolo" and given:
            raise ValueError(f"{', '.join(given)}: only the torchvision family has this")
        if self.family == "torchvision" and self.weights == "yolo11n":
            raise ValueError("give model.weights: a known name of torchvision, a path, or scratch")
        return self


class Train(Strict):
    """How training runs."""

    epochs: Positive = 20  # of a named strategy; phases say their own
    batch: Positive = 16  # images a step, over all devices
    imgsz: Annotated[int, Field(ge=32, multiple_of=32)] = 640  # pixels of the long side
    lr: Rate | None = None  # of a named strategy; None: the strategy's own
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    warmup: Annotated[float, Field(ge=0, le=1)] = 0.1  # share of the steps of a phase with a rising rate
    schedule: Schedule = "cosine"
    lr_end: Annotated[float, Field(ge=0, le=1)] = 0.02  # last rate as a share of the first
    clip_norm: Annotated[float, Field(gt=0)] = 10.0
    patience: Positive | None = None  # epochs without a better AP before training stops, or tries the next new start
    accumulate: Positive = 1  # parts that a batch is computed in, where memory does not hold it whole
    on_not_finite: Literal["stop", "roll_back"] = (
        "stop"  # roll_back: the last epoch again at half the rate, thrice at most
    )
    class_balance: Literal["none", "repeat", "weights", "both"] = "none"  # repeat rare images, weigh rare classes
    mosaic: Annotated[float, Field(ge=0, le=1)] = 0.0  # share of the images that are laid together with three others
    mosaic_until: Annotated[float, Field(ge=0, le=1)] = 0.7  # share of the epochs after which there are no more mosaics
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    device: str = "auto"  # auto, cpu, cuda, mps
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    cache: Literal["auto", "memory", "disk", "none"] = "auto"  # fitted images and features; auto: memory if they fit
    cache_mb: Annotated[int, Field(ge=0)] | Literal["auto"] = (
        "auto"  # memory for the cache; auto: a share of what is free
    )


class Evaluate(Strict):
    """How a model is scored."""

    score_floor: Annotated[float, Field(ge=0, lt=1)] = 0.001
    nms_iou: Annotated[float, Field(gt=0, le=1)] = 0.7
    max_detections: Positive = 300
    batch: Positive = 16
    ignore_policy: Literal["region", "strict"] = "region"


class RunConfig(Strict):
    """Everything that a training run depends on."""

    data: Data
    model: Model = Model()
    transfer: Transfer = Transfer()
    train: Train = Train()
    augment: Literal["default", "none"] | list[dict[str, dict[str, Any]]] = "default"  # albumentations, by class name
    evaluate: Evaluate = Evaluate()
    out: Path | None = None  # the run folder; None: runs/<name of the config>, numbered
