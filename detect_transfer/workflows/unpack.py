"""Images that lie inside annotation files, brought out as a folder that a reader reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detect_transfer.core.errors import InputError
from detect_transfer.core.io import list_files, new_folder, parse_json, read_bytes, require_new
from detect_transfer.formats.unpacking import labelme, tables, tfrecord
from detect_transfer.formats.unpacking.image_folder import ImageFolder


@dataclass(frozen=True)
class Unpacked:
    """What was brought out: which files held it, how many images and objects, and the format that it has now.

    `n_unlabelled` images stay inside, since nobody labelled them.
    """

    kind: str
    n_images: int
    n_objects: int
    format: str
    n_unlabelled: int = 0


def unpack(source: Path, out: Path) -> Unpacked:
    """Unpack Parquet or Arrow files of Hugging Face, TFRecord files (also of Waymo), or LabelMe JSON with `imageData`.

    Args:
        source: The folder of the files, or one of them.
        out: The folder to make.

    Raises:
        InputError: No such file is there, one is damaged, or `out` is not empty.
    """
    require_new(out)
    if not source.exists():
        raise InputError("FILE_MISSING", "a file or a folder was expected here", where=source, remedy="check the path")
    root = source if source.is_dir() else source.parent
    names = [source.name] if source.is_file() else sorted(_all_files(source))
    packed_tables = [name for name in names if name.lower().endswith(tables.SUFFIXES)]
    records = [name for name in names if tfrecord.is_tfrecord(name)]
    with new_folder(out) as building:
        if packed_tables or records:
            folder = ImageFolder(building)
            if packed_tables:
                tables.unpack(root, packed_tables, folder)
            else:
                tfrecord.unpack(root, records, folder)
            kind = "Hugging Face tables" if packed_tables else "TFRecord"
            return Unpacked(kind, folder.n_images, folder.n_objects, "hf_imagefolder", folder.n_unlabelled)
        documents = [name for name in names if name.lower().endswith(".json") and _holds_image(root / name)]
        if not documents:
            what = "no file there holds images: Parquet, Arrow, TFRecord, or LabelMe JSON with imageData was expected"
            raise InputError(
                "UNPACK_NOTHING", what, where=source, remedy="convert it as it is: detect-transfer convert"
            )
        n_images, n_shapes = labelme.unpack(root, documents, building)
        return Unpacked("LabelMe", n_images, n_shapes, "labelme")


def _all_files(root: Path) -> list[str]:
    usual = list_files(root, (*tables.SUFFIXES, *tfrecord.SUFFIXES, ".json"))
    parts = [path for path in root.rglob("*-of-*") if path.is_file() and not path.name.startswith(".")]
    return [*{*usual, *(path.relative_to(root).as_posix() for path in parts)}]


def _holds_image(path: Path) -> bool:
    return labelme.holds_image(parse_json(read_bytes(path), path))
