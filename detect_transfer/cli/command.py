"""A command: its help with an example and the names of registries, and what it refuses of a command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from typer.core import TyperCommand, TyperOption

from detect_transfer.core.errors import InputError

_RENAMED = {"convert": {"--split": "--split-ratio", "--images": "--image-mode", "--ignore-policy": "--ignored-regions"}}
_GONE = {
    ("convert", "--no-split-from-source"): "leave it out for the split of the source where it has one, or write "
    "--split-ratio train=0.8,val=0.2",
}
EXAMPLES = {  # of each command
    "average": "average runs/seed0 runs/seed1 runs/seed2 --out runs/averaged",
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
