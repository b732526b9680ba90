"""Options and help texts that several commands share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from detect_transfer.core.choices import (
    BadBoxes,
    BoxForm,
    ClassNumbers,
    DetectionLayout,
    MetricPolicy,
    OnError,
    UnseenImages,
)
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.tiles import Tiling

Out = Annotated[Path, typer.Option("--out", help="The folder to make; it must be absent or empty.")]
DETECTIONS = "COCO results JSON, a CSV with a header, Parquet, or a folder with a text an image."
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

_RENAMED = {"convert": {"--split": "--split-ratio", "--images": "--image-mode", "--ignore-policy": "--ignored-regions"}}
_GONE = {
    ("convert", "--no-split-from-source"): "leave it out for the split of the source where it has one, or write "
    "--split-ratio train=0.8,val=0.2",
}


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


EXAMPLES = {  # of each command
    "check": "check MY_DATA --imgsz 640 --out checked",
    "compare": "compare runs/a runs/b --out compared",
    "config": "config --explain train.imgsz",
    "convert": "convert voc MY_DATA --out data/mine --check",
    "evaluate": "evaluate runs/mine --data MY_DATA --split test --out scored",
    "export": "export runs/mine --to onnx,openvino --out exported",
    "init": "init MY_DATA model.weights=yolo11n",
    "pre-annotate": "pre-annotate predicted --images IMAGES --out to_correct",
    "predict": "predict runs/mine IMAGES --out predicted",
    "rank-images": "rank-images runs/mine UNLABELLED --out ranked --most 50",
    "suggest-class-map": "suggest-class-map --data data/mine --weights yolo11n",
    "train": "train data.path=MY_DATA model.weights=yolo11n train.epochs=10",
    "unpack": "unpack TFRECORDS --out unpacked",
    "verify": "verify runs/mine",
    "visualize": "visualize --truth MY_DATA --detections detections.json --out drawn",
}
_REGISTRIES = {
    "detections": ("detect_transfer.formats.detections.streams", "DETECTION_WRITERS"),
    "formats": ("detect_transfer.formats", "READERS"),
    "targets": ("detect_transfer.formats.writing.targets", "WRITERS"),
    "tools": ("detect_transfer.formats.writing.pre_annotations", "LABELLING_TOOLS"),
    "metrics": ("detect_transfer.evaluation.registry", "METRICS"),
    "slices": ("detect_transfer.evaluation.metrics.slices", "KINDS"),
}


def name_of_data(path: Path) -> str:
    """Return what a file about data at `path` is called: by its folder where the file is a `data.yaml` or the like."""
    whole = path.absolute()
    if whole.is_dir():
        return whole.name
    return whole.parent.name if whole.stem in {"data", "dataset", "_annotations"} else whole.stem


class CommandWithChoices(TyperCommand):
    """A command whose help names what registries hold, which are imported only to show it.

    An option that takes one value is refused where it is given twice: the first would be dropped without a word.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line.

        Raises:
            InputError: An option of one value stands twice.
        """
        if not ctx.resilient_parsing:
            given = Counter(self.make_parser(ctx).parse_args(args=list(args))[2])
            for option, times in given.items():
                if times > 1 and isinstance(option, TyperOption) and not (option.multiple or option.is_flag):
                    flag = max(option.opts, key=len)
                    remedy = f"write {flag} A,B" if "by commas" in (option.help or "") else "leave all but one out"
                    raise InputError("OPTION", f"it stands {times} times", field=flag, remedy=remedy)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, with names for `{formats}`, `{targets}` and the others of `_REGISTRIES`."""
        for parameter in self.params:
            text = getattr(parameter, "help", None) or ""
            for key, (module, registry) in _REGISTRIES.items():
                if f"{{{key}}}" in text:
                    names = getattr(import_module(module), registry)
                    parameter.help = text.replace(f"{{{key}}}", ", ".join(sorted(names)))  # type: ignore[attr-defined]
        super().format_options(ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write an example."""
        if self.name in EXAMPLES:
            with formatter.section("Example"):
                formatter.write_text(f"detect-transfer {EXAMPLES[self.name]}")


def refuse_renamed(words: Sequence[str]) -> None:
    """Refuse a flag that has another name now, or is gone.

    Args:
        words: The command line, which begins with the command.

    Raises:
        InputError: A flag is an old one; the remedy is what to write instead.
    """
    renamed = _RENAMED.get(words[0], {}) if words else {}
    for index, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if (words[0], flag) in _GONE:
            raise InputError("OPTION_RENAMED", "the option is gone", field=flag, remedy=_GONE[words[0], flag])
        if flag in renamed:
            value = value if equals else next(iter(words[index + 1 : index + 2]), "")
            raise InputError(
                "OPTION_RENAMED",
                "the option has another name",
                field=flag,
                value=value,
                remedy=f"write {_instead(renamed[flag], value)}",
            )


def _instead(flag: str, value: str) -> str:
    if flag == "--split-ratio" and value == "source":
        return "--split-from-source"
    if flag == "--split-ratio" and value.endswith(".json"):
        return f"--split-file {value}"
    return f"{flag} {value}".rstrip()
