"""The labels of a run's data that are most likely wrong, judged by weights that were not trained on them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from detect_transfer.core.annotations import XYXY, AnnotationTable, Detections
from detect_transfer.core.counted import counted
from detect_transfer.core.csv_cells import harmless_column
from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.io import new_folder, require_new, write_atomic
from detect_transfer.core.opening import real_path
from detect_transfer.data.run_data import RunData, load_run_data, with_kept_classes
from detect_transfer.evaluation.label_errors import KINDS, label_errors
from detect_transfer.formats.writing.labelme import images_of_one_file
from detect_transfer.formats.writing.pre_annotations import LABELLING_TOOLS, write_pre_annotations
from detect_transfer.report.label_errors_page import write_label_errors_page
from detect_transfer.workflows.run_data_change import is_of_other_data
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.trained_detector import load_trained

Progress = Callable[[int, int], None]
LEAST_SUSPICION = 0.3
_MOST_LINES = 20
_COLUMNS = (
    *("kind", "suspicion", "file_name", "split", "label", "suggested", "annotation_id"),
    *(*[f"label_{c}" for c in XYXY], *XYXY, "source"),
)


@dataclass(frozen=True)
class LabelErrors:
    """What was found.

    Args:
        table: The images that were judged, and their labels.
        rows: Rows of `label_errors` of at least `LEAST_SUSPICION`, with names and the label's own corners.
        n_trained_on: How many images were left out, as every run was trained on them.
        run: The run.
        is_of_other_data: Whether the data are others than the run was trained with.
    """

    table: AnnotationTable
    rows: pl.DataFrame
    n_trained_on: int
    run: Path
    is_of_other_data: bool = False

    @property
    def facts(self) -> list[str]:
        """What was looked at, a sentence each."""
        n_images = self.table.images.height
        of = counted(n_images + self.n_trained_on, "image")
        sentences = [f"{n_images:,} of {of} judged, {counted(len(self.rows), 'suspect')}"]
        if self.is_of_other_data:
            sentences.append(
                "warning: the data are not those that the run was trained with: their images, labels or splits were "
                "changed, and an image that was saved again counts as one that it was not trained on"
            )
        if self.n_trained_on:
            other = self.run.with_name(f"{self.run.name}-other")
            command = ["detect-transfer", "train", str(RunFolder(self.run).config), "data.train_split=val"]
            command += ["data.val_split=train", f"out={other}"]
            sentences.append(
                f"trained on: {counted(self.n_trained_on, 'image')}; weights repeat what they were taught: train on "
                f"the others with {shlex.join(command)}, and add --also {shlex.quote(str(other))}"
            )
        return sentences


def is_run(path: Path) -> bool:
    """Tell whether a folder is that of a run with weights."""
    folder = RunFolder(path)
    return path.is_dir() and folder.best.is_file() and folder.config.is_file()


def find_label_errors(
    runs: Sequence[Path], *, device: str = "auto", imgsz: InputSize | None = None, progress: Progress | None = None
) -> LabelErrors:
    """Judge each image of the first run's data by the first of the runs that was not trained on it.

    Args:
        runs: Run folders. Further ones, trained on other parts of the same data, judge what the first was trained on.
        device: auto, cpu, cuda or mps.
        imgsz: What images are scaled into; None takes that of training.
        progress: Called with the number of images done and of all that this run judges.

    Raises:
        InputError: A folder is no run, its data are not there, or every image was trained on.
    """
    for run in runs:
        if not is_run(run):
            raise InputError(
                "RUN_MISSING",
                "it is no run folder with config.yaml and weights/best.safetensors",
                where=run,
                remedy="give the folder that training printed",
            )
    table, data = _data_of(runs[0])
    left, detections = set(table.images["image_id"]), []
    for run in runs:
        trained_on = set(RunFolder(run).read_used_images().get("train", ()))
        chosen = sorted(i for i in left if data.content[i] not in trained_on)
        if chosen:
            detections.append(_detected(run, table, [(i, data.paths[i]) for i in chosen], device, imgsz, progress))
            left -= set(chosen)
    if not detections:
        raise InputError(
            "IMAGES_TRAINED_ON",
            "every image was trained on, so that its labels cannot be judged",
            where=runs[0],
            remedy="train a run on a part of the images, and check that run",
        )
    judged = table.select_images([i for i in table.images["image_id"] if i not in left])
    errors = label_errors(judged, Detections(pl.concat(detections)))
    errors = errors.filter(pl.col("suspicion") >= LEAST_SUSPICION)
    first = RunFolder(runs[0])
    changed = first.manifest.is_file() and is_of_other_data(first, data)
    return LabelErrors(judged, _with_names(errors, judged), len(left), runs[0], changed)


def _data_of(run: Path) -> tuple[AnnotationTable, RunData]:
    """Return all images of a run with their labels, and where they lie."""
    folder = RunFolder(run)
    config = folder.read_config()
    data = load_run_data(config.data, drawn=folder.drawn_data, for_training=False)
    data = with_kept_classes(data, config.transfer.keep_source_classes)
    parts = [part for part in (data.train, data.val, data.test) if part is not None]
    table = AnnotationTable(
        images=pl.concat([part.images for part in parts], how="diagonal"),
        boxes=pl.concat([part.boxes for part in parts], how="diagonal"),
        categories=data.train.categories,
        image_root=data.image_root,
    )
    return table, data


def _detected(
    run: Path,
    table: AnnotationTable,
    images: Sequence[tuple[int, Path]],
    device: str,
    imgsz: InputSize | None,
    progress: Progress | None,
) -> pl.DataFrame:
    """Return what a run detects on images, of the classes of the table."""
    trained = load_trained(run, device=device, imgsz=imgsz)
    ids = dict(table.categories.select("name", "category_id").iter_rows())
    meeting = {i: ids[name] for i, name in enumerate(trained.class_names) if name in ids}
    if not meeting:
        raise InputError(
            "CLASS_UNKNOWN", "none of its classes is one of the data", where=run, remedy="give a run on the same data"
        )
    rows = trained.find(images, range(len(trained.class_names)), progress).rows
    rows = rows.filter(pl.col("category_id").is_in(list(meeting)))
    return rows.with_columns(pl.col("category_id").replace_strict(meeting, return_dtype=pl.Int64))


def _with_names(errors: pl.DataFrame, table: AnnotationTable) -> pl.DataFrame:
    names = table.categories.select("category_id", label="name")
    suggested = names.select(suggested_id="category_id", suggested="label")
    labels = table.boxes.select("annotation_id", "source", *[pl.col(c).alias(f"label_{c}") for c in XYXY])
    for frame, key in (
        (table.images.select("image_id", "file_name", "split"), "image_id"),
        (names, "category_id"),
        (suggested, "suggested_id"),
        (labels, "annotation_id"),
    ):
        errors = errors.join(frame, on=key, how="left", maintain_order="left")
    return errors


def write_label_errors(suspects: LabelErrors, out: Path) -> None:
    """Write the page, `label_errors.csv`, and a folder for each labelling tool with the images in question.

    LabelMe is left out where it would keep the boxes of two images in one file.

    Raises:
        InputError: `out` is not empty.
        ResourceError: The disk is full or does not let us write.
    """
    require_new(out)
    table = _to_correct(suspects)
    with new_folder(out) as building:
        write_label_errors_page(
            building / "label_errors.html",
            suspects.table,
            suspects.rows,
            title=real_path(suspects.run).name,
            facts=suspects.facts,
        )
        cells = suspects.rows.select(_COLUMNS)
        cells = cells.with_columns(harmless_column(name) for name, kind in cells.schema.items() if kind == pl.String)
        write_atomic(building / "label_errors.csv", cells.write_csv(float_precision=3))
        if table.images.height:
            shared = images_of_one_file(table.images["file_name"].to_list())
            tools = [tool for tool in LABELLING_TOOLS if tool != "labelme" or shared is None]
            write_pre_annotations(table, building, tools=tools, model=real_path(suspects.run).name)


def _to_correct(suspects: LabelErrors) -> AnnotationTable:
    """Return the images with suspects: their labels, each with what speaks against it, and what has no label."""
    rows = suspects.rows
    table = suspects.table.select_images(rows["image_id"].unique(maintain_order=True))
    against = rows.filter(pl.col("annotation_id").is_not_null())
    notes = against.select(
        "annotation_id",
        score=pl.lit(None, pl.Float64),
        note=pl.format("suspect: {}, {} here? ({})", "kind", "suggested", pl.col("suspicion").round(2)),
    ).unique("annotation_id", keep="first")
    labels = table.boxes.join(notes, on="annotation_id", how="left", maintain_order="left")
    first = int(suspects.table.boxes["annotation_id"].max() or 0) + 1  # type: ignore[arg-type]
    missing = rows.filter(pl.col("kind") == "missing").select(
        pl.int_range(first, first + pl.len(), dtype=pl.Int64).alias("annotation_id"),
        "image_id",
        pl.col("suggested_id").alias("category_id"),
        *XYXY,
        *[pl.lit(False).alias(c) for c in ("iscrowd", "ignore", "difficult")],
        score="suspicion",
        note=pl.lit("suspect: has no label"),
    )
    return replace(table, boxes=pl.concat([labels, missing], how="diagonal"))


def label_error_lines(suspects: LabelErrors) -> list[str]:
    """Return the most suspicious labels and what was looked at, in lines for the console."""
    lines = []
    for row in suspects.rows.head(_MOST_LINES).iter_rows(named=True):
        corners = [row[c if row["annotation_id"] is None else f"label_{c}"] for c in XYXY]
        words = {
            "missing": f"no label, but {row['suggested']}",
            "class": f"labelled {row['label']}, but {row['suggested']}",
            "location": f"{row['label']}, but its box seems to be elsewhere",
        }[row["kind"]]
        at = ", ".join(f"{corner:g}" for corner in (round(c, 1) for c in corners))
        where = f"  ({row['source']})" if row["source"] else ""
        lines.append(f"{row['suspicion']:.2f} {row['file_name']}: {words} at {at}{where}")
    counts = [f"{kind} {suspects.rows.filter(pl.col('kind') == kind).height}" for kind in KINDS]
    more = len(suspects.rows) - _MOST_LINES
    return [*lines, *([f"and {more} more"] if more > 0 else []), *suspects.facts, f"kinds: {', '.join(counts)}"]
