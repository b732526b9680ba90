"""Scoring a detector: a run on its own validation split, or any weights on any split of any data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.class_names import match_class_names
from detect_transfer.core.errors import InputError, did_you_mean
from detect_transfer.core.io import new_folder, require_new, safe_join, sha256_file
from detect_transfer.core.ledger import Ledger
from detect_transfer.core.tiles import Tiling
from detect_transfer.core.video import parse_frame_name
from detect_transfer.data.class_map import ClassMap, apply_class_map
from detect_transfer.data.leaks import leak_warning
from detect_transfer.data.load import GroundTruth
from detect_transfer.data.run_data import load_run_data, with_kept_classes
from detect_transfer.data.used_images import used_images_warning
from detect_transfer.evaluation import Case, MetricResult, Scores
from detect_transfer.formats.coco.data_folder import refuse_changed_images
from detect_transfer.models.export.targets import exported_path
from detect_transfer.workflows.evaluate import EvaluateOptions, data_set_of, score_all, write_page, write_scored
from detect_transfer.workflows.merged_classes import MergedClasses
from detect_transfer.workflows.run_data_change import data_warning
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.thresholds import without_threshold
from detect_transfer.workflows.trained_detector import TrainedDetector, load_trained

Progress = Callable[[int, int], None]
_MOST_NAMES = 10


@dataclass(frozen=True)
class ScoredTable:
    """A detector scored on one table.

    Args:
        case: The images with their boxes, of the classes that are scored, and the detections.
        scores: COCO's numbers.
        metrics: Further protocols.
        at_thresholds: Counts of each class at score thresholds that were chosen elsewhere; None where none were to be.
    """

    case: Case
    scores: Scores
    metrics: Mapping[str, MetricResult]
    at_thresholds: Mapping[str, dict[str, float | None]] | None

    @property
    def without_threshold(self) -> str:
        """Which classes have no threshold that was chosen elsewhere, in words; "" where all have one or none were."""
        return "" if self.at_thresholds is None else without_threshold(self.case.truth.class_names, self.at_thresholds)

    def write(self, folder: Path, facts: Mapping[str, str], *, warnings: Sequence[str] = (), **parts: Any) -> None:
        """Write detections, metrics and the report into a folder; `facts` and `parts` as for `write_page`."""
        said = [warning for warning in warnings if warning]
        extra: dict[str, Any] = {"warnings": said} if said else {}
        facts = {**facts, "Warning": "; ".join(said)} if said else facts
        stored, note = dict(self.metrics), self.without_threshold
        if self.at_thresholds is not None:
            extra["at_thresholds"] = dict(self.at_thresholds)
            # thresholds that were chosen elsewhere stay the only ones: those of this split would flatter it
            stored.pop("operating_points", None)
        if note:
            extra["at_thresholds_note"] = note
            facts = {**facts, "Stored score thresholds": note}
        write_scored(folder, self.case.truth, self.case.detections, self.scores, metrics=stored, extra=extra)
        page = {"facts": facts, "metrics": self.metrics, **parts}
        write_page(RunFolder(folder).report, self.case, self.scores, **page)


def score_table(
    trained: TrainedDetector,
    truth: AnnotationTable,
    options: EvaluateOptions | None = None,
    *,
    data_set: str = "",
    thresholds: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> ScoredTable:
    """Run a detector on the images of a table and score it, each of its classes as the one that it counts as.

    Args:
        trained: The detector.
        truth: Images, boxes and classes; classes that the detector does not have score 0.
        options: The metrics and slices, and the policy of COCO's numbers.
        data_set: Which data set it is, for the metrics where none are named.
        thresholds: The score threshold of each class of the detector, chosen on another split, applied unchanged.
        progress: Called with the number of images done and of all.

    Raises:
        InputError: An image is not there, or the truth has nothing to slice by under a name.
    """
    detections = trained.find(image_files(truth), range(len(trained.class_names)), progress)
    merged = MergedClasses.of(trained, truth)
    case = Case(truth, merged.apply(detections))
    scores, metrics = score_all(case, options, data_set=data_set)
    counts = None if thresholds is None else merged.at_thresholds(truth, detections, thresholds)
    return ScoredTable(case, scores, metrics, counts)


def evaluate_run(
    run: Path, out: Path, options: EvaluateOptions | None = None, *, tiling: Tiling | None = None
) -> Scores:
    """Score the best weights of a run on its validation split again; write metrics, detections and the report.

    Args:
        run: The run folder.
        out: The folder to make.
        options: The metrics and slices, and the policy of COCO's numbers.
        tiling: How images are cut into tiles; None takes them whole.

    Raises:
        InputError: The run or its data are missing or changed, or `out` is not empty.
    """
    require_new(out)
    options = options or EvaluateOptions()
    folder = RunFolder(run)
    config = folder.read_config()
    trained = replace(load_trained(run), tiling=tiling)
    data = load_run_data(config.data, drawn=folder.drawn_data, for_training=False)
    data = with_kept_classes(data, config.transfer.keep_source_classes)
    data_set = data_set_of(folder.data_of(config.data), data.format)
    scored = score_table(trained, data.val, options, data_set=data_set)
    with new_folder(out) as building:
        facts = {"Run": run.name, "Weights": "best", "Input": trained.input_facts}
        facts |= {"Ignore policy": options.ignore_policy}
        warnings = [leak_warning(data.leaks), data_warning(folder, data)]
        scored.write(
            building, facts, warnings=warnings, title=run.name, ledger=data.ledger, notes=folder.read_findings()
        )
    return scored.scores


def evaluate_weights(
    trained: TrainedDetector,
    truth: GroundTruth,
    out: Path,
    options: EvaluateOptions | None = None,
    *,
    class_map: ClassMap | None = None,
    progress: Progress | None = None,
) -> ScoredTable:
    """Score any weights, trained here or not, on a split of any data; write metrics, detections and the report.

    Score thresholds that the run stored are applied to the split unchanged.

    Args:
        trained: The detector, as of `load_trained`.
        truth: Images, boxes and classes.
        out: The folder to make.
        options: The metrics and slices, and the policy of COCO's numbers.
        class_map: Class of the truth to classes of the weights; without it classes meet by name.
        progress: Called with the number of images done and of all.

    Raises:
        InputError: Images are missing, classes do not meet, or `out` is not empty.
    """
    require_new(out)
    options = options or EvaluateOptions()
    if truth.format == "data_folder":
        files, root = image_files(truth.table), truth.table.image_root or Path()
        refuse_changed_images(
            truth.path, root, {path.relative_to(root).as_posix(): sha256_file(path) for _, path in files}
        )
    table, meeting = meet_classes(truth.table, trained.class_names, class_map)
    weights = RunFolder.of(trained.path)
    thresholds = trained.stored_thresholds()
    scored = score_table(
        trained.counted_as(meeting),
        table,
        options,
        data_set=data_set_of(truth.path, truth.format),
        thresholds=thresholds,
        progress=progress,
    )
    used = used_images_warning(weights.read_used_images(), [path for _, path in image_files(table)])
    if exported_path(trained.path) is not None:
        used = (
            "which images its weights were trained on and chosen by is not known of an exported model: "
            "if these are among them, expect lower scores on new images"
        )
    with new_folder(out) as building:
        facts = {"Weights": str(trained.path), "Truth": truth.facts, "Input": trained.input_facts}
        unused = [name for name in trained.class_names if name not in meeting]
        facts |= {"Classes not in the data": _listed(unused)} if unused else {}
        scored.write(building, {**facts, "Ignore policy": options.ignore_policy}, warnings=[truth.warning, used])
    return scored


def meet_classes(
    truth: AnnotationTable, names: Sequence[str], class_map: ClassMap | None = None
) -> tuple[AnnotationTable, dict[str, str]]:
    """Find out which class of a truth each class of a detector is.

    Args:
        truth: The truth.
        names: The classes of the detector.
        class_map: Class of the truth to classes of the detector. Its rest tells what becomes of classes of the truth
            that the detector does not have: `error`, `__ignore__` and `__drop__` of their boxes, or `keep`, so that
            they count as never found.

    Returns:
        The truth, without the classes that leave, and the class of the truth of each class that meets one.

    Raises:
        InputError: A class of the map is not there, or one of the truth meets none.
    """
    same = match_class_names(truth.class_names, names)
    mapped = {} if class_map is None else dict(class_map.targets)
    for side, mentioned, present in (
        ("the data", mapped, truth.class_names),
        ("the weights", [source for sources in mapped.values() for source in sources], names),
    ):
        for name in mentioned:
            if name not in present:
                raise InputError(
                    "CLASS_UNKNOWN",
                    f"there is no such class in {side}",
                    field="--class-map",
                    value=name,
                    remedy=did_you_mean(name, list(present)),
                )
    meeting = {source: target for target, sources in mapped.items() for source in sources}
    for name in truth.class_names:
        if name not in mapped and name in same and same[name] not in meeting:
            meeting[same[name]] = name
    unmet = [name for name in truth.class_names if name not in meeting.values()]
    rest = "error" if class_map is None else class_map.rest
    if unmet and (rest == "error" or len(unmet) == len(truth.class_names)):
        raise InputError(
            "CLASS_UNMET",
            f"{len(unmet)} of {len(truth.class_names)} classes of the data are none of the weights: {_listed(unmet)}",
            field="--class-map",
            remedy=f"name what they are, such as --class-map '{unmet[0]}={names[0]}', and what of the others: "
            "__rest__=__drop__, __rest__=__ignore__, or __rest__=keep to count them as never found; "
            f"the weights have {_listed(names)}",
        )
    if unmet and rest != "keep":
        met = tuple((name, (name,)) for name in truth.class_names if name not in unmet)
        ignored, dropped = (tuple(unmet), ()) if rest == "__ignore__" else ((), tuple(unmet))
        truth = apply_class_map(truth, ClassMap("--class-map", met, ignored, dropped), Ledger())
    return truth, meeting


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def image_files(table: AnnotationTable) -> list[tuple[int, Path]]:
    """Return image_id and file of each image.

    Raises:
        InputError: Their folder is not known, or one is not there or a frame of a video.
    """
    rows = table.images.select("image_id", "file_name").rows()
    if table.image_root is None:
        raise InputError(
            *("IMAGES_MISSING", "the folder of the images is not known"),
            field="--images",
            remedy="give the folder that file_name is relative to",
        )
    for _, name in rows:
        if parse_frame_name(name) is not None:
            raise InputError(
                *("VIDEO_FRAMES", "images are frames of videos, which are not scored as they are"),
                field="file_name",
                value=name,
                remedy="convert the data first (tools/convert.py), which writes the frames as images",
            )
    return [(i, safe_join(table.image_root, name, links=True)) for i, name in rows]
