"""Reading a data set: its format is recognised, and its reader called with typed options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detect_transfer import formats
from detect_transfer.core.annotations import Annotations, AnnotationTable
from detect_transfer.core.choices import OnError
from detect_transfer.core.errors import InputError
from detect_transfer.data.reader_options import parse_options
from detect_transfer.formats.recognition import likely, likely_below, nearby, recognised, why_unread

Options = Sequence[str] | Mapping[str, Any]


def read_dataset(
    path: Path,
    *,
    format: str | None = None,
    options: Options = (),
    on_error: str = OnError.FAIL,
    verify: bool = False,
    need_images: bool = True,
    need_splits: bool = True,
) -> AnnotationTable:
    """Read a data set in any of the native formats.

    Args:
        path: The folder or file that holds it.
        format: A key of `READERS`; None recognises what shows its format, see `recognise`.
        options: Options of the reader, as words such as `one_based=false` or by name.
        on_error: What becomes of a row or an image at fault, one of `OnError`.
        verify: Compare a data folder with its manifest.
        need_images: Without, images may be absent where the reader can go on without them.
        need_splits: Without, a split that the data set names may be absent where the reader can go on without it.

    Raises:
        InputError: There is no such format or option, or as the reader says.
    """
    form, given = _reader_of(path, format, options, on_error, verify, need_images, need_splits)
    with _naming_image_folder(form, given):
        return form.read(path, **given)


def scan_dataset(
    path: Path, *, format: str, options: Options, on_error: str, need: tuple[bool, bool], spill: Path
) -> Annotations:
    """Read a data set as `read_dataset` does, but for boxes that can stay in their file, or in files made for them.

    Args:
        path: As for `read_dataset`.
        format: A key of `READERS`.
        options: As for `read_dataset`.
        on_error: As for `read_dataset`.
        need: `need_images` and `need_splits`.
        spill: A folder for such files; whoever calls removes it once the table is not used.

    Raises:
        InputError: As for `read_dataset`.
        ResourceError: The disk is full or does not let us write.
    """
    form, given = _reader_of(path, format, options, on_error, False, *need)
    with _naming_image_folder(form, given):
        return form.scan(path, spill=spill, **given)


def _reader_of(
    path: Path, format: str | None, options: Options, on_error: str, verify: bool, *need: bool
) -> tuple[formats.Format, dict[str, Any]]:
    """Return the format and the options of its reader; see `read_dataset`."""
    need_images, need_splits = need
    name = recognise(path) if format is None else format
    form = formats.get_format(name)
    given = parse_options(form, options)
    if "on_error" in form.options:
        given.setdefault("on_error", str(on_error))
    elif on_error != OnError.FAIL:
        raise InputError(
            "OPTION_UNKNOWN",
            "the reader of this format cannot skip what is at fault",
            field="--on-error",
            value=on_error,
            remedy="fix the faults, or leave the option out",
        )
    if verify and "verify" in form.options:
        given.setdefault("verify", True)
    if not need_images and "missing_images" in form.options:
        given.setdefault("missing_images", "keep")
    if not need_splits and "absent_splits" in form.options:
        given.setdefault("absent_splits", "skip")
    return form, given


@contextmanager
def _naming_image_folder(form: formats.Format, given: Mapping[str, Any]) -> Iterator[None]:
    """Let errors of the reader say how the folder of images is named, where it can be and is not."""
    try:
        yield
    except InputError as error:
        if "images" in form.options and given.get("images", form.options["images"].default) is None:
            _name_image_folder(error)
        raise


def _name_image_folder(error: InputError) -> None:
    """Let the remedy of missing images name the option of readers whose annotations travel without them."""
    for each in error.problems:
        if each.code == "IMAGE_MISSING":
            each.remedy = each.remedy.replace(
                "restore it, or", "restore it, name the folder of the images by images=DIR (--option images=DIR), or", 1
            )


def recognise(path: Path, *, code: str = "FORMAT_UNKNOWN", field: str = "format", flag: str = "format") -> str:
    """Return the format of a file or folder that shows it.

    A JSON file is COCO instances, a data.yaml YOLO; of folders those that `convert` wrote, and those with a data.yaml,
    with COCO's instances or with our tables.

    Args:
        path: The file or folder.
        code: Of the error.
        field: What the user gave the path as.
        flag: How the user names a format.

    Raises:
        InputError: It shows none.
    """
    if not path.exists():
        raise InputError("FILE_MISSING", "a data set was expected here", where=path, remedy="check the path")
    if (path / "config.yaml").is_file() and (path / "weights").is_dir():
        what, remedy = "it is a run folder", "give it without --truth"
    elif kind := recognised(path):
        return kind
    elif path.is_dir() and next(path.iterdir(), None) is None:
        what, remedy = "the folder is empty", "check the path"
    else:
        what = "its format cannot be recognised by what is there"
        names = likely(path)
        choices = f"it may be {', '.join(names)}" if names else "detect-transfer convert --list shows all"
        remedy = f"name the format with {flag}; {choices}"
        reason = why_unread(path)
        if reason is not None:
            what, remedy = reason
        if path.is_dir():
            remedy = f"{_other_level(path)}{remedy}"
    raise InputError(code, what, where=path, field=field, remedy=remedy)


def _other_level(path: Path) -> str:
    """Return the offer of a folder a level below or above, where there is one, for a remedy."""
    near = nearby(path)
    if near is not None:
        return f"give {near[0]}, which is {near[1].format} ({near[1].evidence}); or "
    inner = likely_below(path)
    if inner is None or {*inner[1]} <= {*likely(path)}:
        return ""
    return f"give {inner[0]}, which may be {', '.join(inner[1])}; or "
