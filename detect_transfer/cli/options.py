"""Options and arguments of the commands with their help: those that several share, then those of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detect_transfer.core.choices import (
    AugmentPreset,
    BadBoxes,
    BoxForm,
    ClassNumbers,
    DetectionLayout,
    ExportPrecision,
    IgnoredRegions,
    ImageMode,
    MetricPolicy,
    NmsPlace,
    OnError,
    UnseenImages,
)
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.tiles import Tiling

Out = Annotated[Path, typer.Option("--out", help="The folder to make; it must be absent or empty.")]
DETECTIONS = (
    "COCO results JSON, a CSV with a header, Parquet, a folder with a text an image, or the folder that predict wrote."
)
DetectionsFormat = Annotated[
    DetectionLayout | None, typer.Option("--detections-format", help="Without it recognised by content.")
]
BoxFormOption = Annotated[
    BoxForm | None,
    typer.Option("--box-form", help="What the four numbers of a box are, where the layout is not right."),
]
ClassNumbersOption = Annotated[
    ClassNumbers | None,
    typer.Option("--class-numbers", help="What class numbers are: category ids, or places in the list of classes."),
]
UnseenImagesOption = Annotated[
    UnseenImages,
    typer.Option("--unseen-images", help="Images of the truth that predict, by its images.json, did not see."),
]
IgnorePolicy = Annotated[
    MetricPolicy, typer.Option("--ignore-policy", help="Of the metric: ignored boxes excuse, or must be found.")
]

TRUTH = "COCO instances JSON, a folder that convert wrote, a data.yaml; others with --truth-format."
TruthFormat = Annotated[
    str | None, typer.Option("--truth-format", help="The format of the truth or the data, of {formats}.")
]
TruthSplit = Annotated[
    str | None, typer.Option("--split", help="Of the truth, or all; without it the only one, else val, else test.")
]
TruthImages = Annotated[Path | None, typer.Option("--images", help="The folder that file_name is relative to.")]
ReaderOption = Annotated[list[str] | None, typer.Option("--option", help="KEY=VALUE for the reader; may be repeated.")]
AllowRootOption = Annotated[
    list[Path] | None,
    typer.Option("--allow-root", help="A folder outside the source that its lists may name; may be repeated. YOLO."),
]
ClassMapOption = Annotated[
    str | None,
    typer.Option(
        "--class-map",
        help="With --data: CLASS_OF_DATA=CLASS_OF_WEIGHTS,... or FILE.yaml; without it they meet by name.",
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="For a model: auto, cpu, cuda or mps; also one of several, such as cuda:1.")
]
IMGSZ_METAVAR = "N or HxW"
ImgszOption = Annotated[
    InputSize | None,
    typer.Option(
        "--imgsz",
        parser=InputSize.of_option,
        metavar=IMGSZ_METAVAR,
        help="Pixels of the longer side, or height and width; without it as the weights were trained, or 640.",
    ),
]
TileOption = Annotated[
    int | None, typer.Option("--tile", help="Cut images into tiles of this side in pixels, such as 1024.")
]
OverlapOption = Annotated[
    float | None, typer.Option("--overlap", help="With --tile: the least share that tiles have in common; 0.2.")
]
OnErrorOption = Annotated[OnError, typer.Option("--on-error", help="What becomes of rows and images at fault.")]
BadBoxesOption = Annotated[
    BadBoxes,
    typer.Option(
        "--bad-boxes",
        help="Objects that reach more than 1 px past their image or are below 1 px: an error, or clip and leave out; "
        "auto fixes those of published sets.",
    ),
]

# of convert
SplitRatioOption = Annotated[
    str | None,
    typer.Option(
        help="Shares such as train=0.8,val=0.2. Without an option for it, the split of the source if it has one, "
        "else these shares."
    ),
]
SplitFileOption = Annotated[Path | None, typer.Option(help="The splits.json of an earlier conversion of this source.")]
SplitFromSourceOption = Annotated[bool, typer.Option("--split-from-source", help="The split of the source.")]
ValFromTrainOption = Annotated[
    float, typer.Option(help="With --split-from-source: the share of train that becomes val, such as 0.15.")
]
ClassesOption = Annotated[str | None, typer.Option(help="A class map: FILE.yaml, dataset.yaml#name, or a=b,c=d.")]
IgnoredRegionsOption = Annotated[IgnoredRegions, typer.Option(help="What becomes of ignored regions in YOLO labels.")]
ImageModeOption = Annotated[ImageMode, typer.Option(help="How images come into the folder; none: annotations alone.")]
TargetsOption = Annotated[
    str | None,
    typer.Option(help="The formats to write, divided by commas, of {targets}. Without it, coco,yolo."),
]
TileShareOption = Annotated[
    float | None, typer.Option(help="With --tile: with a smaller share of it in a tile an object is ignored; 0.5.")
]

# of check
CheckedArgument = Annotated[
    Path,
    typer.Argument(
        help="Your data: a folder or file of any format that is known; or a run folder, for the labels of its "
        "data that are most likely wrong."
    ),
]
CheckedFormatOption = Annotated[
    str | None, typer.Option(help="The format, of {formats}; without it the one that can be read there.")
]
CheckedOut = Annotated[
    Path | None,
    typer.Option(
        help="A folder to make, with check.json and check.html; of a run label_errors.html, label_errors.csv and "
        "files for labelling tools."
    ),
]
CheckedImgszOption = Annotated[
    InputSize | None,
    typer.Option(
        parser=InputSize.of_option,
        metavar=IMGSZ_METAVAR,
        help="The longer side of images in training, in pixels, or height and width: 640, or that of the run.",
    ),
]
AugmentOption = Annotated[
    AugmentPreset, typer.Option(help="The preset of augment in which the page shows images as training sees them.")
]
AlsoOption = Annotated[
    list[Path] | None,
    typer.Option(help="Of a run: a run on another part of its data, which judges what it was trained on."),
]

# of export
BundleOption = Annotated[
    Path | None,
    typer.Option(help="In the place of --out and --to: a folder with model.onnx, infer.py and a model card."),
]
PrecisionOption = Annotated[
    ExportPrecision, typer.Option(help="int8 is calibrated on training images; onnx and openvino.")
]
NmsOption = Annotated[
    NmsPlace, typer.Option(help="Where doubles are suppressed: by whoever runs the model, or in its graph.")
]
FixedSizeOption = Annotated[
    bool,
    typer.Option(
        "--fixed-size", help="Take images of --imgsz alone, padded to all of it; without it any multiple of 32."
    ),
]
FixedBatchOption = Annotated[
    int | None, typer.Option(min=1, help="Images it always takes; without it any number where that can be.")
]
NoGateOption = Annotated[
    bool, typer.Option("--no-gate", help="Write it without checking that it detects what the weights detect.")
]
GateDataOption = Annotated[
    Path | None, typer.Option(help="Check on these images; without it on the validation images of the run.")
]
CalibrationImagesOption = Annotated[int, typer.Option(min=1, help="Training images that int8 is calibrated on.")]

# of evaluate
ScoredArgument = Annotated[
    str | None, typer.Argument(help="A run folder, and with --data also a weights file or a known name.")
]
MetricsOption = Annotated[
    str | None, typer.Option(help="Divided by commas, of {metrics}; without it those of the data set, else coco.")
]
SlicesOption = Annotated[
    str | None,
    typer.Option(
        help="Divided by commas, of {slices}, and columns of images and attributes; without it all with values."
    ),
]

# of predict
SourcesArgument = Annotated[
    list[str],
    typer.Argument(
        help="Images, folders, 'FOLDER/*.jpg', lists (.txt, a path a line), videos, a camera such as 0, or with "
        "--allow-network addresses of images and streams."
    ),
]
ScoreOption = Annotated[
    str | None,
    typer.Option(
        help="Draw detections from this score on; auto takes the threshold of each class by F1. "
        "Without it auto, or 0.25 where the run stored none."
    ),
]
NmsIouOption = Annotated[
    float | None,
    typer.Option(min=0.01, max=1, help="Of two boxes of a class with a larger IoU the lower one goes."),
]
MaxDetectionsOption = Annotated[int | None, typer.Option(min=1, help="Of an image.")]
MultiLabelOption = Annotated[bool, typer.Option("--multi-label", help="Draw every label of a box, not the best alone.")]
AgnosticOption = Annotated[bool, typer.Option("--agnostic", help="Boxes of different classes suppress each other.")]


def words_of(text: str | None) -> tuple[str, ...] | None:
    """Return words that are divided by commas; None where nothing is given."""
    return None if text is None else tuple(word for part in text.split(",") if (word := part.strip()))


def tiling_of(tile: int | None, overlap: float | None, share: float | None = None) -> Tiling | None:
    """Return how images are cut into tiles; None where they are taken whole.

    Raises:
        InputError: A number is out of its range, or something is said of tiles, and there are none.
    """
    if tile is not None:
        return Tiling(tile) if overlap is None else Tiling(tile, overlap)
    for flag, value in (("--overlap", overlap), ("--tile-share", share)):
        if value is not None:
            what, remedy = "it is of tiles, and there are none", "add --tile 1024, or leave it out"
            raise InputError("USAGE", what, field=flag, value=value, remedy=remedy)
    return None


def complete_key(incomplete: str) -> list[str]:
    """Return the keys of a config that begin so, for the completion of the shell."""
    from detect_transfer.config import keys_of

    names = [f"{key.name}=" for key in keys_of() if "[]" not in key.name]
    return [name for name in names if name.startswith(incomplete)]
