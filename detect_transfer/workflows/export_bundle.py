"""A bundle: an exported model that runs without this package, and a card that says what it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from detect_transfer.core.choices import ExportTarget, NmsPlace
from detect_transfer.core.counted import counted
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import read_bytes, read_json, write_atomic
from detect_transfer.models.checkpoints import ASSETS
from detect_transfer.models.export.metadata import ExportMetadata
from detect_transfer.workflows.export import export_detector
from detect_transfer.workflows.export_check import Exported, Progress
from detect_transfer.workflows.export_data import ExportData
from detect_transfer.workflows.export_options import ExportOptions
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.trained_detector import TrainedDetector

_REQUIREMENTS = ("numpy", "onnxruntime", "opencv-python-headless", "pillow")
_METRICS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR100")


def write_bundle(
    trained: TrainedDetector,
    out: Path,
    options: ExportOptions,
    data: ExportData | None,
    progress: Progress | None = None,
    *,
    gated: bool = True,
) -> Exported:
    """Export a detector to ONNX, with the suppression in the graph, and write what runs it; arguments as for `export`.

    Raises:
        InputError: As for `export_detector`, or it was trained on images of more than 8 bits.
        ResourceError: The exported model does not do what the weights do.
    """
    if trained.intake is not None:
        raise InputError(
            "EXPORT_BUNDLE",
            "infer.py reads images of 8 bits, and this detector was trained on a window of wider values",
            field="--bundle",
            remedy="give --out DIR in its place, and run the model with `detect-transfer predict`",
        )
    options = replace(options, to=(ExportTarget.ONNX,), nms=NmsPlace.INSIDE)
    folder = RunFolder.holding(trained.path)
    run = None if folder is None else folder.path

    def finish(building: Path, metadata: ExportMetadata, written: list[Exported]) -> None:
        _write_files(building, metadata, written[0], run)

    return export_detector(trained, out, options, data, progress, gated=gated, finish=finish)[0]


def _write_files(folder: Path, metadata: ExportMetadata, exported: Exported, run: Path | None) -> None:
    write_atomic(folder / "infer.py", read_bytes(ASSETS / "infer.py.txt"))
    write_atomic(folder / "requirements.txt", "".join(f"{name}\n" for name in _REQUIREMENTS))
    write_atomic(folder / "README.md", model_card(metadata, exported, run))


def model_card(metadata: ExportMetadata, exported: Exported, run: Path | None) -> str:
    """Return the model card as Markdown.

    Args:
        metadata: What the model says of itself.
        exported: The model, and what the gate measured.
        run: The run folder that it comes from; None where it comes from none.
    """
    sections = [
        f"# {metadata.arch}, {counted(len(metadata.names), 'class', 'classes')}",
        "```sh\npip install -r requirements.txt\npython infer.py IMAGE ... > detections.jsonl\n```",
        "`infer.py` prints a line of JSON for each image; `--score 0.1` prints more. Boxes are pixels from the "
        "top-left corner, x2 and y2 exclusive.",
        "## Classes",
        ", ".join(metadata.names),
        "## Scores",
        *_scores(run),
        "## Score thresholds",
        *_thresholds(run),
        "## The exported model against its weights",
        _checked(exported),
        "## Where it comes from",
        _table(("what", "value"), _origin(metadata)),
        "## Licences",
        "This says what is known of the parts, and is no legal advice.",
        _table(
            ("part", "what", "licence", "what it means"),
            [[row["part"], row["what"], row["licence"], row["means"]] for row in metadata.licence],
        ),
    ]
    return "\n\n".join(sections) + "\n"


def _scores(run: Path | None) -> list[str]:
    """Return COCO's numbers of the run with their intervals, and those of each class."""
    if run is None or not RunFolder(run).metrics.is_file():
        return ["Not known: the weights are of no run."]
    stored = RunFolder(run).read_metrics()
    config = RunFolder(run).read_config()
    spans = stored.get("interval") or {}
    rows = [[name, _number(stored.get(name)), _span(spans.get(name))] for name in _METRICS]
    classes = [[row["name"], str(row["n_boxes"]), _number(row.get("AP"))] for row in stored.get("per_class", [])]
    lines = [
        f"On the split `{config.data.val_split}` of its data, of which the best weights were chosen too: "
        f"{(stored.get('selection') or {}).get('text', '')}",
        _table(("metric", "value", "95 % interval"), rows),
        _table(("class", "objects", "AP"), classes),
    ]
    test = RunFolder(run).test
    if test.metrics.is_file():
        lines.append(f"On the test split, scored once: AP {_number(test.read_metrics().get('AP'))}.")
    return lines


def _thresholds(run: Path | None) -> list[str]:
    path = None if run is None else RunFolder(run).thresholds
    if path is None or not path.is_file():
        return ["None are stored: `infer.py` gives detections from 0.25 on."]
    stored = read_json(path)
    goal, rows = stored["default"], []
    for name, goals in stored["per_class"].items():
        point = goals.get(goal)
        columns = ("score_threshold", "precision", "recall")
        rows.append([name, *("none" if point is None else _number(point.get(column)) for column in columns)])
    text = (
        f"By the goal `{goal}`, chosen on the validation images. `infer.py` gives no detection of a class without one."
    )
    return [text, _table(("class", "score from", "precision", "recall"), rows)]


def _checked(exported: Exported) -> str:
    if exported.result is None:
        return "It was not checked (`--no-gate`)."
    layers = ", ".join(f"{count} layers in {kind}" for kind, count in sorted((exported.layers or {}).items()))
    doubts = f" {exported.doubts[0].upper()}{exported.doubts[1:]}." if exported.doubts else ""
    return f"On the same images in {exported.runtime} ({layers}): {exported.measured}.{doubts}"


def _origin(metadata: ExportMetadata) -> list[list[str]]:
    facts: dict[str, Any] = dict(metadata.provenance)
    before = [f"{row['file']} {row['sha256']}" for row in facts["weights_before"]]
    return [
        ["weights, sha256", str(facts.get("weights_sha256"))],
        ["made from", ", ".join(before) or "scratch"],
        ["data, sha256", str(facts.get("data_sha256") or "not known")],
        ["input", f"{_input_words(metadata.size)}, {metadata.precision.value}"],
        ["detect-transfer", str(facts.get("detect_transfer"))],
        ["machine", str(facts.get("machine"))],
    ]


def _input_words(size: InputSize) -> str:
    return f"{size} px on the longer side" if size.is_square else f"{size.words} at most"


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "null"


def _span(span: Any) -> str:
    return f"{span[0]:.3f} to {span[1]:.3f}" if isinstance(span, Sequence) and len(span) == 2 else ""


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(each.replace('|', '/').replace(chr(10), ' ') for each in cells)} |"

    return "\n".join([line(headings), line(["---"] * len(headings)), *map(line, rows)])
