"""KITTI object detection: `label_2/NNNNNN.txt` beside `image_2/NNNNNN.png`.

A row has 15 fields divided by blanks. The corners count from 0 and the devkit takes `right - left` for the width, so
they are edges as ours are. Rows `DontCare` are regions where objects of any class were not labelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from detect_transfer.core import io
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.delimited import Dialect
from detect_transfer.formats.parsing.image_lookup import ImageRef
from detect_transfer.formats.parsing.locations import split_of_path
from detect_transfer.formats.parsing.rows import Rows
from detect_transfer.formats.parsing.source import Source
from detect_transfer.formats.pedestrians.kitti_drives import read_drives
from detect_transfer.formats.voc.sets import read_lists

_NAMES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")
_DONT_CARE = "DontCare"
_CORNERS = ("left", "top", "right", "bottom")
_OBJECT = ("dim_height", "dim_width", "dim_length", "location_x", "location_y", "location_z", "rotation_y")
_FIELDS = ("type", "truncated", "occluded", "alpha", *_CORNERS, *_OBJECT, "score")
# visible, partly, largely occluded; 3 means unknown. The devkit tells no shares: these lie in the middle of its words
_HIDDEN = {0: 0.0, 1: 0.25, 2: 0.75}


def read(
    root: Path,
    *,
    names: Sequence[str] | None = None,
    missing_images: str = "error",
    allow_missing: bool = False,
    on_error: str = "fail",
) -> AnnotationTable:
    """Read KITTI labels: the eight classes of the devkit in its order; what is given in 3D goes to `attributes`.

    `DontCare` becomes a crowd region without class that is ignored (reason ``DontCare``). `occluded` is 0, .25 or .75
    for the levels 0, 1 and 2, null for 3 (unknown); the level itself is `occlusion_level` in `attributes`. Images of
    ``testing/`` are not annotated and are not read. A score is refused, except where it is 1 in every row.
    ``ImageSets/train.txt`` and ``val.txt`` name the splits, and ``mapping/`` of the devkit the drive, which is the
    `group`, where they are there.

    Args:
        root: The folder with ``training/``, or with ``image_2/`` and ``label_2/``, or with folders of splits that have
            these, as Datumaro writes them.
        names: The classes in order, and no others. Without it the eight of the devkit and then further ones of the
            labels, which is noted; only the latter where none of the eight occurs.
        missing_images: See `Source`.
        allow_missing: Whether an image without a label file shows no object; otherwise it is an error.
        on_error: See `Source`.

    Raises:
        InputError: Something is missing or damaged; up to 20 problems at once, each with its line.

    Source: Geiger et al., Are we ready for Autonomous Driving?, CVPR 2012; devkit_object/readme.txt.
    """
    _check_names(names)
    what = "a folder with training/label_2 or label_2"
    source = Source(root, what, missing_images=missing_images, on_error=on_error)
    homes = _homes(root)
    source.image_root = homes[0] / "image_2" if len(homes) == 1 else root
    image_of: dict[str, str] = {}  # by stems
    labels: dict[str, str] = {}
    for home in homes:
        folder = "" if len(homes) == 1 else f"{home.name}/image_2/"
        image_of |= _read_folder(source, home, folder, labels, allow_missing=allow_missing)
    rows = _check(
        source.rows(labels, _FIELDS, Dialect(" ", optional=1, numbers_behind=len(_FIELDS) - 2), labels), names
    )
    if names is None:
        names = _NAMES if rows.data["label"].is_in(_NAMES).any() else ()
    lists = [p for p in (root / "ImageSets" / f"{split}.txt" for split in ("train", "val")) if p.is_file()]
    splits, drives = read_lists(root, lists, set(image_of), source.errors), read_drives(root, source.errors)
    stem_of = {name: stem for stem, name in image_of.items()}
    return source.table(
        rows,
        names,
        split={name: splits.get(stem) or split_of_path(name) for name, stem in stem_of.items()},
        group={name: drives.get(stem) for name, stem in stem_of.items()},
    )


def _check_names(names: Sequence[str] | None) -> None:
    """Refuse names that are no list, stand twice, or name what is no class."""
    if isinstance(names, str) or len(set(names or ())) < len(names or ()) or _DONT_CARE in (names or ()):
        remedy = "write names=[car, dog]"
        raise InputError("OPTION_VALUE", "expected a list of names", field="names", value=names, remedy=remedy)


def _read_folder(
    source: Source, home: Path, folder: str, labels: dict[str, str], *, allow_missing: bool
) -> dict[str, str]:
    """Add the images of a folder with image_2 and label_2, and the image of each label file to `labels`.

    Args:
        source: The data set.
        home: The folder.
        folder: What stands before the names of its images; empty where they are relative to its image_2.
        labels: Gets the image of each label file.
        allow_missing: Whether an image without a label file shows no object.

    Returns:
        The images by their stems.
    """
    path = home / "image_2"
    images = native.images_by_stem(path, source.errors, recursive=False) if path.is_dir() else {}
    texts = {native.stem_of(n): n for n in io.list_files(home / "label_2", (".txt",)) if "/" not in n}
    remedy = "restore the label, or read with --option allow_missing=true if the image shows no object"
    for stem, name in images.items() if not allow_missing else ():
        if stem not in texts:
            what = f"there is no text of it in {home / 'label_2'}"
            source.errors.add("ANNOTATION_MISSING", what, where=path / name, image=folder + name, remedy=remedy)
    of_folder = {f"{folder}{stem}": folder + images.get(stem, f"{stem}.png") for stem in sorted({*images, *texts})}
    for stem, name in of_folder.items():
        source.images[name] = ImageRef(str(home / "label_2" / texts.get(stem.removeprefix(folder), "")))
    place = (home / "label_2").relative_to(source.root)
    labels |= {(place / text).as_posix(): of_folder[f"{folder}{stem}"] for stem, text in texts.items()}
    return of_folder


def _homes(root: Path) -> list[Path]:
    """Return the folder that holds image_2 and label_2, or those of the splits that do."""
    for home in (root / "training", root):
        if (home / "label_2").is_dir():
            return [home]
    homes = sorted(path.parent for path in root.glob("*/label_2") if path.is_dir())
    if homes:
        return homes
    names = ", ".join(sorted(p.name for p in root.iterdir())[:8]) or "nothing"
    remedy = f"give the folder that holds them; this one holds: {names}"
    what = "it holds neither training/label_2 nor label_2, nor does a folder of a split"
    raise InputError("KITTI_LAYOUT", what, where=root, remedy=remedy)


def _check(rows: Rows, names: Sequence[str] | None) -> Rows:
    """Return the rows that are not at fault with the columns of the table."""
    what = "found 16 fields: these are detections, no labels"
    scores = rows.data["score"].cast(pl.Float64, strict=False)
    if len(scores) and (scores == 1).fill_null(value=False).all():  # no detector is sure of everything
        rows.errors.remark("a score of 1 in every row, as Datumaro and CVAT write it", len(scores), kind="box")
        rows = rows.with_columns(score=pl.lit(None, dtype=pl.String))
    rows = rows.check(pl.col("score").is_null(), "KITTI_SCORE", what, "score", "give the folder of labels")
    rows = (
        rows.with_columns(pl.col("occluded").str.replace(r"\.0+$", ""))
        .numbers("occluded", whole=True)
        .numbers("truncated", "alpha", *_CORNERS, *_OBJECT)
    )
    is_share = pl.col("truncated").is_between(0, 1) | (pl.col("truncated") == -1)
    rows = rows.check(is_share, "ROW_NUMBER", "expected a share from 0 to 1, or -1", "truncated")
    rows = rows.between("occluded", -1, 3, "expected a level from 0 to 3, or -1").box(*_CORNERS)
    if names is not None:
        remedy = f"add it to names={','.join(names)}, or leave names out"
        is_named = pl.col("type").is_in([_DONT_CARE, *names])
        rows = rows.check(is_named, "CLASS_UNKNOWN", "there is no such class", "type", remedy)
    is_region = pl.col("type") == _DONT_CARE
    rows = rows.ignore({_DONT_CARE: is_region}, crowds=[_DONT_CARE])
    rows = rows.attributes(pl.col("occluded").alias("occlusion_level"), "alpha", *_OBJECT, where=~is_region)
    return rows.with_columns(
        label=pl.when(~is_region).then("type"),
        occluded=pl.col("occluded").replace_strict(_HIDDEN, default=None, return_dtype=pl.Float64),
        truncated=pl.when(pl.col("truncated") >= 0).then("truncated"),
    )
