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
from detect_transfer.core.image_size import HEAD_BYTES, plain_size_wh
from detect_transfer.core.images import MAX_PIXELS, read_image_bytes, read_size_wh
from detect_transfer.core.intake import Intake
from detect_transfer.core.io import SUSPECT_NAME, read_json, safe_join
from detect_transfer.core.ledger import Ledger
from detect_transfer.core.temporary import scratch_folder
from detect_transfer.core.video import parse_frame_name
from detect_transfer.core.written_links import MANIFEST
from detect_transfer.data.bad_boxes import refuses_bad_boxes, treat_bad_boxes
from detect_transfer.data.checked_images import FILE, READ_SCHEMA, file_states, unchanged_images
from detect_transfer.data.clean import clean
from detect_transfer.data.convert import convert
from detect_transfer.data.convert_options import ConvertOptions
from detect_transfer.data.image_paths import ImagePaths
from detect_transfer.data.leaks import find_leaks, refuse_leaks
from detect_transfer.data.native import FIX_BAD_BOXES, NativeData, read_native
from detect_transfer.data.published import as_published
from detect_transfer.data.reading import read_dataset
from detect_transfer.data.run_intake import intake_of_run
from detect_transfer.data.split import is_positive
from detect_transfer.data.split_file import load_split_file, part_from_file
from detect_transfer.data.used_images import head_digest
from detect_transfer.formats.coco.data_folder import refuse_changed_images
from detect_transfer.formats.coco.reader import read_splits
from detect_transfer.synthetic.dataset import write_scenes

_MOST_PROBLEMS = 20
_NO_STEP = r"(^|/)(?:\./|/)+"  # what a path leaves out of a name
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
        sha256: That of its whole file.
        kept_classes: Classes of the source that no box is of; their ids come after all others.
        test: Images that nothing is chosen by, with the boxes as published; None where the config names none.
        intake: The window of values of more than 8 bits that images are read with.
        leaks: Pairs of byte-identical images in two splits, which are refused for training.
        format: The format that they were read in, a key of `READERS`.
    """

    train: AnnotationTable
    val: AnnotationTable
    paths: ImagePaths
    image_root: Path
    ledger: dict[str, Any]
    fingerprint: str
    content: dict[int, str] = field(default_factory=dict)
    sha256: dict[int, str] = field(default_factory=dict)
    kept_classes: tuple[str, ...] = ()
    test: AnnotationTable | None = None
    leaks: tuple[tuple[str, str], ...] = ()
    intake: Intake | None = None
    format: str = ""


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
    home = next((each for each in folders if (each / MANIFEST).is_file()), None)
    if table.image_root is None:
        raise _no_images(data, converted=home is not None)
    root = table.image_root
    files = _read_images(images, root, home=home, trusted=data.verify == "changed")
    for first, second in combinations(parts, 2):
        _refuse_shared(parts[first], parts[second], root, (first, second))
    scored = {part: as_published(rows) for part, rows in parts.items() if part != "train"}
    fingerprint, content, whole = _fingerprint((parts["train"], *scored.values()), files)
    for folder in folders if data.format in ("auto", "data_folder") else (drawn,):
        refuse_changed_images(folder, root, dict(files.select("file_name", "sha256").rows()))
    leaks: list[tuple[str, str]] = []
    for first, second in combinations(parts, 2):
        pair = pl.concat([parts[first].images, parts[second].images], how="diagonal")
        leaks += find_leaks(pair, whole)  # byte-identical images in both
        if for_training:
            refuse_leaks(leaks, field=f"data.{second}_split")
    paths, sha256 = ImagePaths(root, images), dict(whole.rows())
    read = RunData(parts["train"], scored["val"], paths, root, facts, fingerprint, content, format=kind, sha256=sha256)
    intake = None if data.intake is None else intake_of_run(data, [paths[i] for i in parts["train"].images["image_id"]])
    return replace(read, test=scored.get("test"), leaks=tuple(leaks), intake=intake)


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
    if data.synthetic is not None or (drawn / MANIFEST).is_file():
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


def _refuse_shared(first: AnnotationTable, second: AnnotationTable, root: Path, names: tuple[str, str]) -> None:
    """Refuse images that are trained on and scored on."""
    own, other = (part.images.select(pl.col("file_name").str.replace_all(_NO_STEP, "$1")) for part in (first, second))
    shared = own.join(other, on="file_name", how="semi")["file_name"].unique().sort()
    if len(shared):
        raise InputError(
            "SPLIT_SHARED",
            f"{len(shared)} images are in the {_SPLIT_WORDS[names[0]]} and in the {_SPLIT_WORDS[names[1]]} split",
            where=root / shared[0],
            field=f"data.{names[1]}_split",
            remedy="a score on what was trained on says nothing: give other images, or split again",
        )


def _read_images(images: pl.DataFrame, root: Path, *, home: Path | None, trusted: bool) -> pl.DataFrame:
    """Return size and hashes of the files of the images; a missing image or one of another size is a problem.

    Args:
        images: Of all parts.
        root: The folder of the images.
        home: The data folder that a conversion wrote, in which links that lead out of it are followed.
        trusted: Do not open what is as it was when the folder was made.

    Returns:
        A row for each name: `file_name`, `width`, `height`, `head` as `head_digest`, and `sha256`.
    """
    seen = pl.DataFrame(schema=READ_SCHEMA)
    if home is not None and trusted and (home / FILE).is_file():
        seen = unchanged_images(home, file_states(root, images["file_name"].unique(maintain_order=True)))
    stated = images.select("file_name", w=pl.col("width"), h=pl.col("height")).unique("file_name")
    as_stated = (pl.col("width").eq(pl.col("w")) & pl.col("height").eq(pl.col("h"))).fill_null(False)
    plain_name = ~pl.col("file_name").str.contains(SUSPECT_NAME)
    seen = seen.join(stated, on="file_name").filter(as_stated & plain_name).drop("w", "h")
    rows: list[tuple[Any, ...]] = []
    problems: list[DetectTransferError] = []
    for row in images.join(seen, on="file_name", how="anti", maintain_order="left").iter_rows(named=True):
        try:
            rows.append(_read_image(row, safe_join(root, row["file_name"], links=home is not None)))
        except InputError as error:
            problems.append(error)
            if len(problems) == _MOST_PROBLEMS:
                break
    raise_problems(problems)
    return pl.concat([seen, pl.DataFrame(rows, schema=READ_SCHEMA, orient="row").unique("file_name")])


def _read_image(row: Mapping[str, Any], path: Path) -> tuple[Any, ...]:
    """Read an image once, whole: hashing it takes a twentieth of what decoding it does."""
    data = read_image_bytes(path)
    size, stated = plain_size_wh(data[:HEAD_BYTES]), (row["width"], row["height"])
    if size is None or size[0] * size[1] > MAX_PIXELS:
        size = read_size_wh(path)  # says what is wrong with it
    if None not in stated and size != stated:
        raise InputError(
            "IMAGE_SIZE",
            f"the image is {size[0]} x {size[1]}, the annotation says {stated[0]} x {stated[1]}",
            where=path,
            remedy="the boxes may belong to another image: put the right one there",
        )
    return row["file_name"], *size, head_digest(data), hashlib.sha256(data).hexdigest()


def _fingerprint(tables: Iterable[AnnotationTable], files: pl.DataFrame) -> tuple[str, dict[int, str], pl.DataFrame]:
    """Hash tables and images, by the hashes of their files.

    Returns:
        The hash of all; of each image by its id that of its length and first bytes; `image_id` and `sha256` of all.
    """
    digest, hashed = hashlib.sha256(), []
    for table in tables:
        for data in (table.images, table.boxes.drop("source"), table.categories):
            digest.update(data.write_csv().encode())
        images = table.images.select("image_id", "file_name").join(files, on="file_name", maintain_order="left")
        digest.update("".join(images["sha256"]).encode())
        hashed.append(images.select("image_id", "head", "sha256"))
    whole = pl.concat(hashed)
    return digest.hexdigest(), dict(whole.select("image_id", "head").rows()), whole.drop("head")
