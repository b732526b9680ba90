"""Our own data folder, as `convert` writes it and `train` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from detect_transfer.core import io
from detect_transfer.core.annotations import Annotations, AnnotationTable
from detect_transfer.core.errors import InputError
from detect_transfer.core.written_links import MANIFEST
from detect_transfer.formats.coco.reader import read as read_coco
from detect_transfer.formats.coco.reader import scan as scan_coco
from detect_transfer.formats.parsing import native
from detect_transfer.formats.parsing.error_collector import ErrorCollector

_ANNOTATIONS = "annotations/"
_CHANGED = "its bytes are not those that were written"
_REMEDY = "convert the data again"
_REMEDY_OF_CHANGED = (
    f"{_REMEDY}; where you changed it on purpose, have it read as coco, which compares nothing: convert coco, check "
    "--format coco, evaluate --truth-format coco, train data.format=coco"
)


def read(root: Path, *, verify: bool = False, missing_images: str = "error", on_error: str = "fail") -> AnnotationTable:
    """Read the data folder `root`: ``annotations/instances_<split>.json`` with the images in ``images/``.

    A folder that was converted without images gives a table without an `image_root`.

    Args:
        root: A folder that a conversion has finished, which its ``manifest.json`` shows: it is written last.
        verify: Whether to compare size and SHA-256 of every file with the manifest, and not of the annotations alone.
        missing_images: As for `coco.read`.
        on_error: As for `coco.read`.

    Raises:
        InputError: There is no manifest, a file is not what the manifest says, or as for `coco.read`.
    """
    return read_coco(root, on_error=on_error, **_where_images(root, verify=verify, missing_images=missing_images))


def scan(
    root: Path, *, spill: Path, verify: bool = False, missing_images: str = "error", on_error: str = "fail"
) -> Annotations:
    """Read the data folder `root` as `read` does, but leave the boxes of large files in files of ours.

    Args:
        root: As for `read`.
        spill: As for `coco.scan`.
        verify: As for `read`.
        missing_images: As for `read`.
        on_error: As for `read`.

    Raises:
        InputError: As for `read`.
        ResourceError: The disk is full or does not let us write.
    """
    given = _where_images(root, verify=verify, missing_images=missing_images)
    return scan_coco(root, spill=spill, on_error=on_error, **given)


def _where_images(root: Path, *, verify: bool, missing_images: str) -> dict[str, Any]:
    """Check the files of a data folder, and return the options of `coco.read` that are about its images."""
    io.require_dir(root, what="a data folder")
    manifest = root / MANIFEST
    if not manifest.is_file():
        raise InputError(
            "DATA_INCOMPLETE",
            f"there is no {MANIFEST}, so this is no data folder or its conversion did not end",
            where=root,
            remedy="convert the data first, or name the format that the folder has",
        )
    listed = io.read_json(manifest)
    if not isinstance(listed, dict) or not isinstance(listed.get("files"), dict):
        raise InputError("MANIFEST", "found no object of files", where=f"{manifest}#/files", remedy=_REMEDY)
    files = listed["files"]
    _verify(root, files if verify else {name: files[name] for name in files if name.startswith(_ANNOTATIONS)})
    images = root / "images"
    if not images.is_dir() and _is_without_images(listed):
        return {"missing_images": "keep"}
    return {"images": images, "missing_images": missing_images}


def refuse_changed_images(root: Path, images: Path, sha256: Mapping[str, str]) -> None:
    """Compare images with what the manifest of their data folder says of them.

    Args:
        root: A folder; where a conversion did not write it, nothing is compared.
        images: The folder of the images; where it is not in `root`, nothing is compared.
        sha256: The hash of each file by its name relative to `images`.

    Raises:
        InputError: An image is not the one that was written; up to twenty at once.
    """
    is_ours = images.is_relative_to(root) and (root / MANIFEST).is_file()
    listed = io.read_json(root / MANIFEST) if is_ours else None
    files = listed.get("files") if isinstance(listed, dict) else None
    errors = ErrorCollector()
    files = files if isinstance(files, dict) else {}
    below = images.relative_to(root).as_posix() if is_ours else ""
    for name, digest in sha256.items():
        facts = files.get(f"{below}/{name}")
        if isinstance(facts, dict) and facts.get("sha256") != digest:
            errors.add("DATA_CHANGED", _CHANGED, where=images / name, remedy=_REMEDY_OF_CHANGED)
    errors.raise_any()


def _is_without_images(manifest: dict[str, Any]) -> bool:
    """Tell whether the conversion was asked for annotations alone."""
    options = manifest.get("options")
    return isinstance(options, dict) and "none" in (options.get("image_mode"), options.get("images"))  # the old name


def _verify(root: Path, listed: dict[str, Any]) -> None:
    """Compare every file with the manifest."""
    errors = ErrorCollector()
    for name, facts in listed.items():
        where = f"{root / MANIFEST}#/files/{name.replace('~', '~0').replace('/', '~1')}"
        if not isinstance(facts, dict) or "sha256" not in facts or "bytes" not in facts:
            errors.add("MANIFEST", "found no bytes and sha256", where=where, remedy=_REMEDY)
            continue
        try:
            # an image may be a link to the source by wish of whoever converted; its folder may not lead out
            path = io.safe_join(root, PurePosixPath(name).parent.as_posix(), where=where, field="files")
            path /= PurePosixPath(name).name
            if not path.is_symlink():
                native.require_regular(root, path)
            same = path.stat().st_size == facts["bytes"] and io.sha256_file(path) == facts["sha256"]
        except InputError as error:
            errors.put(error)
            continue
        if not same:
            errors.add("DATA_CHANGED", _CHANGED, where=root / name, remedy=_REMEDY_OF_CHANGED)
    errors.raise_any()
