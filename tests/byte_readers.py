"""The readers that take bytes apart by themselves, each as a target that a fuzzer feeds.

    python tests/byte_readers.py TARGET -runs=20000     with atheris; -h shows libFuzzer's options

A target takes any bytes and ends quietly, in an error of ours, or by an assertion that says what is wrong. What a
fuzzer finds is kept in `tests/corpus/TARGET/`, which `test_byte_readers.py` reads at every commit.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml
from tfrecords import example, record

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "tests" / "corpus"
_SAMPLES = ROOT / "datasets"
_MOST_PIXELS = 1 << 20  # of an image that is decoded


@contextmanager
def instrumented() -> Iterator[None]:
    """Let a fuzzer see which lines of the modules run that are imported within."""
    if "atheris" not in sys.modules:
        yield
        return
    import atheris

    with atheris.instrument_imports(include=["detect_transfer"]):
        yield


@dataclass(frozen=True)
class Target:
    """A reader and bytes that it reads: `feed` takes any bytes, `seeds` gives some that are right."""

    feed: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


@cache
def _folder() -> Path:
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="byte_readers_", dir=memory if memory.is_dir() else None))


@cache
def _copy(name: str) -> Path:
    return Path(shutil.copytree(_SAMPLES / name, _folder() / name))


def _of_sample(name: str, file: str) -> Target:
    """Return the target of a file in the sample of a format."""

    def feed(data: bytes) -> None:
        with instrumented():
            from detect_transfer.core.errors import InputError
            from detect_transfer.formats import get_format
        root = _copy(name)
        card: dict[str, Any] = yaml.safe_load((root / "dataset.yaml").read_text(encoding="utf-8"))
        (root / "sample" / file).write_bytes(data)
        with suppress(InputError):
            get_format(card["format"]).read(root / "sample", **card["options"])

    return Target(feed, lambda: [(_SAMPLES / name / "sample" / file).read_bytes()])


def _feed_own_parquet(data: bytes) -> None:
    with instrumented():
        from detect_transfer.core.errors import InputError
        from detect_transfer.formats import get_format
    root = _copy("parquet") / "sample"
    schema = json.loads((root / "schema.json").read_text())
    schema["files"]["boxes.parquet"]["sha256"] = sha256(data).hexdigest()
    (root / "schema.json").write_text(json.dumps(schema))
    (root / "boxes.parquet").write_bytes(data)
    with suppress(InputError):
        get_format("parquet").read(root)


def _unpacked(file: str) -> Callable[[bytes], None]:
    """Return what unpacks a file, and reads what came out."""

    def feed(data: bytes) -> None:
        with instrumented():
            from detect_transfer.core.errors import InputError
            from detect_transfer.formats import get_format
            from detect_transfer.workflows.unpack import unpack
        with tempfile.TemporaryDirectory(dir=_folder()) as place:
            (Path(place) / "in").mkdir()
            (Path(place) / "in" / file).write_bytes(data)
            with suppress(InputError):
                done = unpack(Path(place) / "in", Path(place) / "out")
                assert done.n_images or not list((Path(place) / "out").iterdir())
                get_format("hf_imagefolder").read(Path(place) / "out")

    return feed


def _image(kind: str = "PNG", size: tuple[int, int] = (40, 20), **options: Any) -> bytes:
    from PIL import Image

    buffer = BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def _table(write: str) -> list[bytes]:
    import polars as pl

    rows: dict[str, list[Any]] = {
        "image": [{"bytes": _image(), "path": "a.png"}],
        "objects": [{"bbox": [[1.5, 2.0, 10.0, 8.0]], "category": ["cat"]}],
    }
    buffer = BytesIO()
    getattr(pl.DataFrame(rows), write)(buffer)
    return [buffer.getvalue()]


def _records() -> list[bytes]:
    shares = {"xmin": 0.1, "ymin": 0.2, "xmax": 0.5, "ymax": 0.9}
    edges = {f"image__object__bbox__{edge}": [share] for edge, share in shares.items()}
    return [record(example(image__encoded=[_image()], image__object__class__text=[b"cat"], **edges))]


def _feed_rle(data: bytes) -> None:
    with instrumented():
        from detect_transfer.formats.parsing.masks import segmentation_extent
    if len(data) < 2:
        return
    height, width = data[0] or 1, data[1] or 1
    extent = segmentation_extent({"size": [height, width], "counts": data[2:].decode("latin-1")})
    if extent is not None:
        x1, y1, x2, y2 = extent
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height


def _feed_json(data: bytes) -> None:
    with instrumented():
        from detect_transfer.core.json_keys import key_twice
    import orjson

    try:
        document = orjson.loads(data)
        twice = key_twice(data, document)
    except (orjson.JSONDecodeError, RecursionError):
        return
    seen: list[str] = []

    def pairs(content: list[tuple[str, Any]]) -> dict[str, Any]:
        seen.extend(key for i, (key, _) in enumerate(content) if key in dict(content[:i]))
        return dict(content)

    json.loads(data, object_pairs_hook=pairs, parse_int=str, parse_float=str)
    assert (twice is not None) == bool(seen), (twice, seen)


def _feed_image(data: bytes) -> None:
    with instrumented():
        from detect_transfer.core.errors import InputError
        from detect_transfer.core.image_notes import image_notes
        from detect_transfer.core.images import read_rgb, read_size_wh
    path = _folder() / "image"
    path.write_bytes(data)
    with suppress(InputError):
        width, height = read_size_wh(path)
        assert width > 0
        assert height > 0
        if width * height <= _MOST_PIXELS:
            assert read_rgb(path).shape == (height, width, 3)
            image_notes("image.jpg", data)


def _images() -> list[bytes]:
    kinds = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
    return [_image(kind) for kind in kinds] + [_image("JPEG", progressive=True), _image("TIFF", compression="tiff_lzw")]


TARGETS: dict[str, Target] = {
    "vbb": _of_sample("caltech", "annotations/set00/V003.vbb"),
    "mat": _of_sample("citypersons", "annotations/anno_train.mat"),
    "own_parquet": Target(
        _feed_own_parquet, lambda: [(_SAMPLES / "parquet" / "sample" / "boxes.parquet").read_bytes()]
    ),
    "hf_parquet": Target(_unpacked("train.parquet"), lambda: _table("write_parquet")),
    "hf_arrow": Target(_unpacked("train.arrow"), lambda: [*_table("write_ipc_stream"), *_table("write_ipc")]),
    "tfrecord": Target(_unpacked("train.tfrecord"), _records),
    "rle": Target(_feed_rle, lambda: [b"\x10\x10PPYo1", b"\x04\x051234"]),
    "json": Target(_feed_json, lambda: [b'{"a": [{"b:": 1}, {"b": " :"}], "c": 1.5}', b'{"a": 1, "a": 2}']),
    "image": Target(_feed_image, _images),
}


def main() -> None:
    """Feed a target for as long as libFuzzer's options say."""
    import atheris

    name, *options = sys.argv[1:]
    feed, corpus = TARGETS[name].feed, _folder() / "seeds"
    corpus.mkdir()
    kept = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    for number, data in enumerate([*TARGETS[name].seeds(), *kept]):
        (corpus / f"{number:03d}").write_bytes(data)
    atheris.Setup([sys.argv[0], "-max_len=65536", *options, str(corpus)], feed)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(_folder(), ignore_errors=True)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
