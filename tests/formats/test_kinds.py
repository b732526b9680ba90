"""Kinds of input that every reader shares, tried on the sample of every data set."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from paths import DATASETS

from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.errors import InputError, raise_problems
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.video import VIDEO_SUFFIXES, parse_frame_name
from detect_transfer.data.image_checks import inspect_images
from detect_transfer.formats import get_format

FOLDERS = sorted(p.name for p in DATASETS.iterdir() if p.is_dir())
CARDS = {name: yaml.safe_load((DATASETS / name / "dataset.yaml").read_text(encoding="utf-8")) for name in FOLDERS}
JSON_FOLDERS = [name for name in FOLDERS if next((DATASETS / name / "sample").rglob("*.json"), None)]
MEDIA = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
ESCAPED = (".json", ".jsonl", ".ndjson", ".manifest", ".odgt")  # a backslash is written twice there
OTHERWISE = {
    **dict.fromkeys(("datumaro", "via_json", "sagemaker_video", "rtsd_detection"), "two folders hold such a name"),
    **dict.fromkeys(("gtsdb", "lisa_folders", "stsd"), "a row names an image of its folder"),
    **dict.fromkeys(("inria", "tt100k"), "the path tells the split"),
}
Sample = Callable[[str], Path]


def read(name: str, root: Path) -> AnnotationTable:
    return get_format(CARDS[name]["format"]).read(root, **CARDS[name]["options"])


def content(table: AnnotationTable) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Return classes and corners by the stem of the image, and all stems."""
    stems = {number: Path(name).stem for number, name in table.images.select("image_id", "file_name").rows()}
    classes = {None: None, **dict(table.categories.select("category_id", "name").rows())}
    rows = table.boxes.select("image_id", "category_id", *XYXY).rows()
    boxes = [(stems[image], classes[category], *corners) for image, category, *corners in rows]
    return sorted(boxes, key=repr), sorted(stems.values())


def texts(root: Path) -> Iterator[tuple[Path, str]]:
    """Give the annotation files that are texts."""
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.suffix.lower() not in MEDIA:
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


def write_elsewhere(root: Path, table: AnnotationTable, machine: str) -> int:
    """Let the annotations name images by paths of another machine; return how many names were changed."""
    frames = [parse_frame_name(name) for name in table.images["file_name"]]
    names = {frame[0] if frame else name for frame, name in zip(frames, table.images["file_name"], strict=True)}
    n_changed = 0
    for path, text in texts(root):
        for name in sorted(names):
            parts = ((table.image_root or root) / name).relative_to(root).parts
            for tail in ("/".join(parts[i:]) for i in range(len(parts))):
                pattern = re.compile(rf"(?<![\w./-]){re.escape(tail)}(?!\w)")
                if pattern.search(text):
                    own = machine + (tail if machine.startswith("/") else tail.replace("/", "\\"))
                    own = own.replace("\\", "\\\\") if path.suffix in ESCAPED else own
                    text = pattern.sub(lambda _, own=own: own, text)
                    n_changed += 1
                    break
        path.write_text(text, encoding="utf-8")
    return n_changed


@pytest.mark.parametrize("machine", ["/home/u/data/", "C:\\data\\"], ids=["absolute", "backslash"])
@pytest.mark.parametrize("name", [name for name in FOLDERS if name not in OTHERWISE])
def test_paths_of_another_machine__mean_the_images_that_end_alike(name: str, machine: str, sample: Sample) -> None:
    root = sample(name)
    before = read(name, root)
    if not write_elsewhere(root, before, machine):
        return  # the annotations do not name their images
    assert content(read(name, root)) == content(before)


@pytest.mark.parametrize("name", OTHERWISE)
def test_paths_of_another_machine__are_an_error_where_they_could_mean_two(name: str, sample: Sample) -> None:
    root = sample(name)
    assert write_elsewhere(root, read(name, root), "/home/u/data/")
    try:
        table = read(name, root)
    except InputError:
        return
    assert content(table) == content(read(name, DATASETS / name / "sample"))


def hide(paths: list[Path], root: Path, store_name: str = ".store") -> None:
    """Put files or folders into another folder of the data set, with links in their places."""
    store = root / store_name
    store.mkdir()
    for i, path in enumerate(paths):
        path.rename(store / str(i))
        path.symlink_to(os.path.relpath(store / str(i), path.parent))


def media_of(root: Path) -> list[Path]:
    return [path for path in sorted(root.rglob("*")) if path.suffix.lower() in MEDIA]


def folders_of(paths: list[Path], root: Path) -> list[Path]:
    """Return the folders that files lie in, of those in one another the outer."""
    folders = sorted({path.parent for path in paths} - {root})
    return [path for path in folders if not any(other in path.parents for other in folders)]


def with_splits(table: AnnotationTable) -> list[Any]:
    """Return what `content` does, and the split of each image by its stem."""
    splits = [(Path(name).stem, split) for name, split in table.images.select("file_name", "split").rows()]
    return [*content(table), sorted(splits, key=repr)]


@pytest.mark.parametrize("name", FOLDERS)
def test_links_to_files__that_stay_in_the_data_set_are_followed(name: str, sample: Sample, tmp_path: Path) -> None:
    root = sample(name)
    before, media = with_splits(read(name, root)), media_of(root)
    notes = [path for path in sorted(root.rglob("*")) if path.is_file() and path not in media]
    hide([*notes, *media], root)
    table = read(name, root)
    assert with_splits(table) == before
    if table.image_root is not None and media:
        assert not inspect_images(table).problems


@pytest.mark.parametrize("store", [".store", "zz_store"], ids=["hidden", "shown"])
@pytest.mark.parametrize("name", FOLDERS)
def test_links_to_folders__that_stay_in_the_data_set_are_followed(name: str, store: str, sample: Sample) -> None:
    root = sample(name)
    before = with_splits(read(name, root))
    hide(folders_of(media_of(root), root), root, store)
    assert with_splits(read(name, root)) == before


@pytest.mark.parametrize("name", FOLDERS)
def test_links_to_folders__of_annotations_are_followed(name: str, sample: Sample) -> None:
    root = sample(name)
    before, media = with_splits(read(name, root)), media_of(root)
    notes = [path for path in sorted(root.rglob("*")) if path.is_file() and path not in media]
    hide(folders_of(notes, root), root)
    assert with_splits(read(name, root)) == before


@pytest.mark.parametrize("name", FOLDERS)
def test_links_to_images__that_leave_the_data_set_are_not_followed(name: str, sample: Sample, tmp_path: Path) -> None:
    root = sample(name)
    for i, path in enumerate(media_of(root)):
        path.rename(tmp_path / str(i))
        path.symlink_to(tmp_path / str(i))
    if list(tmp_path.glob("[0-9]*")):
        with pytest.raises(InputError, match="PATH_OUTSIDE"):
            raise_problems(inspect_images(read(name, root)).problems)


@pytest.mark.parametrize("name", ["cloud_jsonl", "keras_csv", "label_studio", "label_studio_min", "sagemaker"])
def test_images_that_lie_elsewhere_than_their_paths_say__are_counted(name: str, sample: Sample) -> None:
    notes = {line.reason: line for line in read(name, sample(name)).reading}
    assert notes["found by the end of their paths"].count > 0
    assert " is " in notes["found by the end of their paths"].examples[0]


def keys_of(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Give the keys of plain values in a JSON document with their way, of lists those of the first objects."""
    for key, value in document.items() if isinstance(document, dict) else enumerate(document[:2]):
        if isinstance(document, dict) and not isinstance(value, dict):
            yield path, key
        if isinstance(value, dict | list):
            yield from keys_of(value, (*path, key))


def changed(document: Any, path: tuple[Any, ...], key: str, *, absent: bool) -> str:
    """Return a document without a key, or with null there."""
    copy = json.loads(json.dumps(document))
    at = copy
    for step in path:
        at = at[step]
    del at[key]
    if not absent:
        at[key] = None
    return json.dumps(copy)


@pytest.mark.parametrize("name", JSON_FOLDERS)
def test_null__is_as_good_as_an_absent_key(name: str, sample: Sample) -> None:
    root = sample(name)
    seen: set[str] = set()
    for path in sorted(root.rglob("*.json"))[:3]:
        original = path.read_text(encoding="utf-8-sig")
        document = json.loads(original)
        for way, key in keys_of(document) if isinstance(document, dict | list) else ():
            if key in seen:
                continue
            seen.add(key)
            path.write_text(changed(document, way, key, absent=True))
            try:
                without = content(read(name, root))
            except InputError:
                continue  # it is needed
            path.write_text(changed(document, way, key, absent=False))
            assert content(read(name, root)) == without, f"{path.name} {key}"
        path.write_text(original)


@pytest.mark.parametrize("name", FOLDERS)
def test_images_that_are_not_there__are_a_line_and_not_a_line_each(name: str, sample: Sample) -> None:
    root = sample(name)
    for path in list(root.rglob("*")):
        if path.suffix.lower() in MEDIA:
            path.unlink()
    try:
        read(name, root)
    except InputError as error:
        codes = Counter(line.split(" ", 1)[0] for line in str(error).splitlines())
        assert max(codes.values()) <= 3


@pytest.mark.parametrize("name", FOLDERS)
def test_name_of_an_image__that_can_be_none_is_an_error_or_counted(name: str, sample: Sample) -> None:
    root = sample(name)
    before = read(name, root)
    frame = parse_frame_name(before.images["file_name"][0])
    image = frame[0] if frame else before.images["file_name"][0]
    parts = ((before.image_root or root) / image).relative_to(root).parts
    tails = ["/".join(parts[i:]) for i in range(len(parts))]
    given, options = get_format(CARDS[name]["format"]), CARDS[name]["options"]
    modes = ("fail", "skip-row") if "on_error" in given.options else ("fail",)
    for path, text in texts(root):
        tail = next((t for t in tails if re.search(rf"(?<![\w./-]){re.escape(t)}(?!\w)", text)), None)
        for odd in (".", "..", "/", "x" * 300 + ".png", "a/" * 2500 + "b.png") if tail else ():
            path.write_text(text.replace(str(tail), odd), encoding="utf-8")
            for mode in modes:
                with suppress(InputError):
                    given.read(root, **options, **({"on_error": mode} if mode != "fail" else {}))
        path.write_text(text, encoding="utf-8")
