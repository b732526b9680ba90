"""Choices that a user makes by name, at the command line and in Python."""

from __future__ import annotations

from enum import StrEnum


class OnError(StrEnum):
    """What becomes of a row or an image of native annotations that is at fault."""

    FAIL = "fail"
    SKIP_ROW = "skip-row"
    SKIP_IMAGE = "skip-image"


class BadBoxes(StrEnum):
    """What becomes of objects whose box reaches more than 1 px past its image, or is less than 1 px wide or high.

    `error` refuses them. `fix` clips them to their image, leaves out what has no pixel there, and counts both. `auto`
    fixes those of published sets, whose boxes mean the whole object where an edge cuts it, and refuses all others.
    """

    AUTO = "auto"
    ERROR = "error"
    FIX = "fix"


class IgnoredRegions(StrEnum):
    """What becomes of ignored and crowd regions in a format that cannot say "ignore"."""

    DROP = "drop"
    KEEP = "keep"
    MASK = "mask"
    DROP_IMAGE = "drop-image"


class ImageMode(StrEnum):
    """How images come into a data folder; `none` writes annotations alone."""

    COPY = "copy"
    LINK = "link"
    NONE = "none"


class BoxForm(StrEnum):
    """What the four numbers of a box are; `-norm`: divided by the width and height of the image."""

    XYXY = "xyxy"
    XYWH = "xywh"
    CXCYWH = "cxcywh"
    XYXY_NORM = "xyxy-norm"
    XYWH_NORM = "xywh-norm"
    CXCYWH_NORM = "cxcywh-norm"
    YXYX = "yxyx"
    YXHW = "yxhw"
    YXYX_NORM = "yxyx-norm"
    YXHW_NORM = "yxhw-norm"


class ClassNumbers(StrEnum):
    """What the number of a class is: its category id, or its place in the order of the classes."""

    IDS = "ids"
    FROM_0 = "from-0"
    FROM_1 = "from-1"


class DetectionLayout(StrEnum):
    """How a file or folder of detections is laid out."""

    COCO = "coco"
    CSV = "csv"
    PARQUET = "parquet"
    TEXT = "text"
    YOLO = "yolo"


class MetricPolicy(StrEnum):
    """What COCO's numbers make of ignored boxes: regions that excuse, or objects that must be found."""

    REGION = "region"
    STRICT = "strict"


class UnseenImages(StrEnum):
    """What becomes of images of a truth that a prediction did not see: an error, misses, or no part of the score."""

    ERROR = "error"
    SCORE = "score"
    LEAVE_OUT = "leave-out"


class ExportTarget(StrEnum):
    """What a detector is exported to."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCHSCRIPT = "torchscript"
    ULTRALYTICS_PT = "ultralytics-pt"
    COREML = "coreml"


class ExportPrecision(StrEnum):
    """The numbers that an exported model computes with; int8 keeps its last layers in single precision."""

    FP32 = "fp32"
    INT8 = "int8"


class NmsPlace(StrEnum):
    """Where doubles are suppressed: by whoever runs the exported model, or in its graph."""

    BESIDE = "beside"
    INSIDE = "inside"


class AugmentPreset(StrEnum):
    """What training images go through."""

    DEFAULT = "default"
    NONE = "none"
    SMALL_SET = "small_set"
    SIGNS = "signs"
    PEDESTRIANS = "pedestrians"
    AERIAL = "aerial"
