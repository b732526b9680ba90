"""How many flipped bits in images are errors at once: bits of the pixels of JPEG, PNG and WebP, one at a time.

The PNG and WebP files are made from the JPEG files. A bit is drawn from behind the first tenth of a file, where the
pixels are. What is decoded in spite of it is compared with the image: the mean difference in grey levels.

    python tools/benchmarks/flips.py [--images ../shared/data/coco64/train2017] [--count 30] [--flips 10]
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from detect_transfer.core.errors import DetectTransferError
from detect_transfer.core.images import read_rgb

MANY_LEVELS = 5.0


def main() -> None:
    """Flip, decode and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, default=Path("../shared/data/coco64/train2017"))
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--flips", type=int, default=10, help="of an image")
    options = parser.parse_args()
    paths = sorted(options.images.glob("*.jpg"))[: options.count]
    print(f"| one bit of the pixels flipped | flips | an error | decoded, more than {MANY_LEVELS:g} grey levels off |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="flips-") as folder:
        for kind in ("JPEG", "PNG", "WEBP"):
            errors, off = flip_all(Path(folder), paths, kind, options.flips)
            print(f"| {kind} | {len(paths) * options.flips} | {errors} | {off} |")


def flip_all(folder: Path, paths: list[Path], kind: str, flips: int) -> tuple[int, int]:
    """Return how many flips are errors, and how many of the others change the pixels much."""
    rng = np.random.default_rng(0)
    path, errors, off = folder / f"a.{kind.lower()}", 0, 0
    for source in paths:
        data = encoded(source, kind)
        path.write_bytes(data)
        whole = read_rgb(path).astype(int)
        for _ in range(flips):
            changed = bytearray(data)
            changed[int(rng.integers(len(data) // 10, len(data) - 2))] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            try:
                pixels = read_rgb(path)
            except DetectTransferError:
                errors += 1
                continue
            off += pixels.shape != whole.shape or bool(np.abs(pixels - whole).mean() > MANY_LEVELS)
    return errors, off


def encoded(source: Path, kind: str) -> bytes:
    """Return an image as a file of a kind; JPEG files are taken as they are."""
    if kind == "JPEG":
        return source.read_bytes()
    buffer = io.BytesIO()
    with Image.open(source) as image:
        image.save(buffer, kind)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
