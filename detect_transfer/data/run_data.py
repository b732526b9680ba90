"""The data of a run: from whatever the config names to one table for training and one for validation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl

from detect_transfer.config import Data, Synthetic
from detect_transfer.core.annotations import CATEGORY_SCHEMA, AnnotationTable
from detect_transfer.core.errors import DetectTransferError, InputError, raise_problems
from detect_transfer.core.images import read_image_bytes, read_size_wh
from detect_transfer.core.intake import Intake
from detect_transfer.core.io import read_json, safe_join
from detect_transfer.core.ledger import Ledger
from detect_transfer.core.temporary import scratch_folder
from detect_transfer.core.video import parse_frame_name
from detect_transfer.data.bad_boxes import refuses_bad_boxes, treat_bad_boxes
from detect_transfer.data.clean import clean
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.image_paths import ImagePaths
from detect_transfer.data.leaks import find_leaks, refuse_leaks
from detect_transfer.data.load import read_dataset
from detect_transfer.data.native import FIX_BAD_BOXES, NativeData, read_native
from detect_transfer.data.published import as_published
from detect_transfer.data.run_intake import intake_of_run
from detect_transfer.data.split import is_positive
from detect_transfer.data.split_file import load_split_file, part_from_file
from detect_transfer.data.used_images import head_digest
from detect_transfer.formats.coco.data_folder import refuse_changed_images
from detect_transfer.formats.coco.reader import read_splits
from detect_transfer.synthetic.dataset import write_scenes

_MOST_PROBLEMS = 20
_SPLIT_WORDS = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class RunData:
    """What a run trains and is scored on.

    Args:
        train: Training images and boxes, which are clipped to their images.
        val: Validation images, with the boxes as published.
        paths: The file of each image_id.
        image_root: The folder that `file_name` is relative to.
        ledger: What was left out on the way and why.
        fingerprint: A hash of tables and image files.
        content: A hash of the length and the first bytes of each image, by image_id.
        kept_classes: Classes of the source that no box is of; their ids come after all others.
        test: Images that nothing is chosen by, with the boxes as published; None where the config names none.
        intake: The window of values of more than 8 bits that images are read with.
        leaks: Pairs of byte-identical images in two splits, which are refused for training.
    """

    train: AnnotationTable
    val: AnnotationTable
    paths: ImagePaths
    image_root: Path
    ledger: dict[str, Any]
    fingerprint: str
    content: dict[int, str] = field(default_factory=dict)
    kept_classes: tuple[str, ...] = ()
    test: AnnotationTable | None = None
    leaks: tuple[tuple[str, str], ...] = ()
    intake: Intake | None = None


def load_run_data(data: Data, *, drawn: Path, native: NativeData | None = None, for_training: bool = True) -> RunData:
    """Read, clean and check the data that a config names.

    Args:
        data: The data part of the config.
        drawn: The data folder that the run made itself, of drawn scenes or of native data; absent where it needs none.
        native: What was read already at `data.path`.
        for_training: Refuse images that lie in two splits; else `leaks` names them, for a run that is scored again.

    Raises:
        InputError: Something is missing or wrong; up to twenty images at fault at once.
    """
    table, facts, kind = _read(data, drawn, native)
    if data.split_file is not None:
        table = part_from_file(table, load_split_file(data.split_file))
    if facts is None:
        ledger = Ledger()
        if for_training and refuses_bad_boxes(data.bad_boxes, kind):
            table = treat_bad_boxes(table, ledger, option=FIX_BAD_BOXES)
        table = clean(table, ledger)
        facts = ledger.as_dict()
    names = {"train": data.train_split, "val": data.val_split, "test": data.test_split}
    parts = {part: _by_name(table.split_of(split)) for part, split in names.items() if split is not None}
    for part, rows in parts.items():
        _check_positives(rows, str(names[part]))
    images = pl.concat([part.images for part in parts.values()])
    _refuse_frames(images["file_name"].to_list())
    folders = (drawn, data.path) if data.path is not None else (drawn,)
    converted = any((folder / "manifest.json").is_file() for folder in folders)
    if table.image_root is None:
        raise _no_images(data, converted=converted)
    paths = _check_images(images, table.image_root, links=converted)
    for first, second in combinations(parts, 2):
        _refuse_shared(parts[first], parts[second], paths, (first, second))
    scored = {part: as_published(rows) for part, rows in parts.items() if part != "train"}
    fingerprint, content, whole = _fingerprint((parts["train"], *scored.values()), paths)
    for folder in folders if data.format in ("auto", "data_folder") else (drawn,):
        refuse_changed_images(folder, {paths[i]: sha256 for i, sha256 in whole.items()})
    leaks: list[tuple[str, str]] = []
    for first, second in combinations(parts, 2):
        leaks += _copies(parts[first], parts[second], whole)
        if for_training:
            refuse_leaks(leaks, field=f"data.{second}_split")
    root, test = table.image_root, scored.get("test")
    read = RunData(parts["train"], scored["val"], paths, root, facts, fingerprint, content)
    intake = intake_of_run(data, [paths[i] for i in parts["train"].images["image_id"]])
    return replace(read, test=test, leaks=tuple(leaks), intake=intake)


def with_kept_classes(data: RunData, names: Sequence[str]) -> RunData:
    """Return the data with further classes that a detector is to go on finding; those it has already are left as is."""
    new = [name for name in dict.fromkeys(names) if name not in data.train.class_names]
    first = int(data.train.categories["category_id"].max() or 0) + 1  # type: ignore[arg-type]
    rows = {"category_id": list(range(first, first + len(new))), "name": new}
    further = pl.DataFrame({**rows, "supercategory": [None] * len(new)}, schema=CATEGORY_SCHEMA)
    train, val, test = (
        None if t is None else replace(t, categories=pl.concat([t.categories, further], how="diagonal"))
        for t in (data.train, data.val, data.test)
    )
    assert train is not None and val is not None  # noqa: PT018
    return replace(data, train=train, val=val, test=test, kept_classes=tuple(new))


def draw_data(settings: Synthetic, folder: Path, *, seed: int) -> None:
    """Draw street scenes into a new data folder, through the same conversion as any other data."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(folder.parent, name=".scenes.") as scratch:
        counts = {"train": settings.train_images, "val": settings.val_images}
        size_wh = (settings.size, settings.size)
        table = write_scenes(scratch, settings.task, counts=counts, seed=seed, size_wh=size_wh)
        options = ConvertOptions(format="synthetic", source=settings.task, split="source", seed=seed)
        convert(table, folder, options=options)


def _read(data: Data, drawn: Path, native: NativeData | None) -> tuple[AnnotationTable, dict[str, Any] | None, str]:
    """Read what the config names, and return its format; a data folder was cleaned before and brings its ledger."""
    if data.synthetic is not None or (drawn / "manifest.json").is_file():
        return read_dataset(drawn, format="data_folder"), read_json(drawn / "ledger.json"), "data_folder"
    if data.train_json is not None and data.val_json is not None:
        pair = {data.train_split: data.train_json, data.val_split: data.val_json}
        return read_splits(pair, images=data.images), None, "coco"
    native = native or read_native(data)
    facts = read_json((data.path or Path()) / "ledger.json") if native.format == "data_folder" else None
    return native.table, facts, native.format


def _by_name(table: AnnotationTable) -> AnnotationTable:
    """Return the table in the order of the names of its images, so that a seed trains alike on any order of the same.

    The last part of a name comes first, as a data folder keeps it and moves the image.
    """
    last = pl.col("file_name").str.split("/").list.last()
    return replace(table, images=table.images.sort(last, "file_name"))


def _no_images(data: Data, *, converted: bool) -> InputError:
    if converted:
        return InputError(
            "IMAGES_MISSING",
            "the data folder holds annotations alone, and training needs the images",
            where=data.path,
            field="data.path",
            remedy="convert the source again with its images: --image-mode copy or --image-mode link",
        )
    return InputError(
        "IMAGES_MISSING",
        "the folder of the images cannot be found",
        field="data.images",
        remedy="set data.images to the folder that file_name is relative to",
    )


def _refuse_frames(names: Sequence[str]) -> None:
    """Refuse images that are frames of videos, which only a conversion takes out."""
    frames = [name for name in names if parse_frame_name(name) is not None]
    if frames:
        raise InputError(
            "VIDEO_FRAMES",
            f"{len(frames)} images are frames of videos, which training does not read",
            field="file_name",
            value=frames[0],
            remedy="convert the data first (tools/convert.py), which writes the frames as images",
        )


def _check_positives(table: AnnotationTable, split: str) -> None:
    if table.boxes.filter(is_positive()).is_empty():
        raise InputError(
            "SPLIT_NO_POSITIVES",
            f"none of its {table.images.height} images has an object to find",
            field="split",
            value=split,
            remedy="nothing can be learnt from it or scored on it: split again, with convert --split-ratio "
            "train=0.8,val=0.2",
        )


def _refuse_shared(
    first: AnnotationTable, second: AnnotationTable, paths: Mapping[int, Path], names: tuple[str, str]
) -> None:
    """Refuse images that are trained on and scored on."""
    shared = {paths[i] for i in first.images["image_id"]}.intersection(paths[i] for i in second.images["image_id"])
    if shared:
        raise InputError(
            "SPLIT_SHARED",
            f"{len(shared)} images are in the {_SPLIT_WORDS[names[0]]} and in the {_SPLIT_WORDS[names[1]]} split",
            where=min(shared),
            field=f"data.{names[1]}_split",
            remedy="a score on what was trained on says nothing: give other images, or split again",
        )


def _check_images(images: pl.DataFrame, root: Path, *, links: bool) -> ImagePaths:
    """Return the file of each image; a missing image or one of another size is a problem.

    Links that lead out of the folder are followed in our own data folders alone, which a conversion made with links.
    """
    problems: list[DetectTransferError] = []
    for row in images.iter_rows(named=True):
        try:
            path = safe_join(root, row["file_name"], links=links)
            size, stated = read_size_wh(path), (row["width"], row["height"])
            if None not in stated and size != stated:
                raise InputError(
                    "IMAGE_SIZE",
                    f"the image is {size[0]} x {size[1]}, the annotation says {stated[0]} x {stated[1]}",
                    where=path,
                    remedy="the boxes may belong to another image: put the right one there",
                )
        except InputError as error:
            problems.append(error)
            if len(problems) == _MOST_PROBLEMS:
                break
    raise_problems(problems)
    return ImagePaths(root, images)


def _fingerprint(
    tables: Iterable[AnnotationTable], paths: Mapping[int, Path]
) -> tuple[str, dict[int, str], dict[int, str]]:
    """Hash tables and whole images, each read once: a twentieth of what decoding them takes.

    Returns:
        The hash of all, and of each image by its id that of its length and first bytes, and that of all its bytes.
    """
    digest = hashlib.sha256()
    content, whole = {}, {}
    for table in tables:
        for data in (table.images, table.boxes.drop("source"), table.categories):
            digest.update(data.write_csv().encode())
        for image_id in table.images["image_id"]:
            image = read_image_bytes(paths[image_id])
            content[image_id] = head_digest(image)
            whole[image_id] = hashlib.sha256(image).hexdigest()
            digest.update(whole[image_id].encode())
    return digest.hexdigest(), content, whole


def _copies(first: AnnotationTable, second: AnnotationTable, whole: Mapping[int, str]) -> list[tuple[str, str]]:
    """Return pairs of byte-identical images in both parts."""
    images = pl.concat([first.images, second.images], how="diagonal")
    schema = {"image_id": pl.Int64, "sha256": pl.String}
    return find_leaks(images, pl.DataFrame([*whole.items()], schema=schema, orient="row"))
