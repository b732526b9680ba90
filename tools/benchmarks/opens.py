"""How often a conversion opens each file: the images of the source, its annotations, and what is written.

    python tools/benchmarks/opens.py [FORMAT SOURCE] [--image-mode copy]

Counted in this process by Python's audit event `open`, which Python's own `open`, `os.open` and Pillow raise. What
native code opens by itself (OpenCV for videos, polars for Parquet) is not seen; of images nothing is opened that way.
Without arguments the sample of the road signs is converted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import get_ident
from typing import Any

from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.workflows.convert import ConvertRequest, convert_source

SAMPLE = Path(__file__).parents[2] / "datasets" / "road_signs" / "sample"


def count_opens(request: ConvertRequest) -> Counter[str]:
    """Convert, and return how often each file was opened, by the path under which it was opened."""
    opens: Counter[str] = Counter()
    counting = True
    last: dict[int, tuple[str, str]] = {}  # of each thread

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if counting and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path, mode = os.path.realpath(os.fsdecode(arguments[0])), str(arguments[1])
            before = last.get(get_ident(), ("", ""))
            by_opener = mode == "None" and before[0] == path and before[1] != "None"  # the second word of one opening
            opens[path] += not by_opener
            last[get_ident()] = (path, mode)

    sys.addaudithook(on_event)  # which cannot be taken away again
    convert_source(request)
    counting = False
    return opens


def rows(opens: Counter[str], source: Path, parent: Path) -> list[tuple[str, int, int]]:
    """Return, for each kind of file, how many there are and how often at most one was opened."""
    kinds: dict[str, list[int]] = {}
    for name, count in opens.items():
        path = Path(name)
        is_image = path.suffix.lower() in IMAGE_SUFFIXES or path.parent.name == ".staged"
        if path.is_dir():
            continue
        if path.is_relative_to(source):
            kinds.setdefault("images of the source" if is_image else "annotations of the source", []).append(count)
        elif path.is_relative_to(parent):
            kinds.setdefault("images written" if is_image else "other files written", []).append(count)
    return [(kind, len(counts), max(counts)) for kind, counts in sorted(kinds.items())]


def main() -> None:
    """Convert once and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("format", nargs="?", default="voc")
    parser.add_argument("source", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--image-mode", default="copy", choices=("copy", "link", "none"))
    words = parser.parse_args()
    with TemporaryDirectory() as scratch:
        parent = Path(os.path.realpath(scratch)) / "out"
        parent.mkdir()
        request = ConvertRequest(
            words.format, words.source, parent / "data", split_ratio="train=1", image_mode=words.image_mode
        )
        opens = count_opens(request)
        print(f"{'files':28s} {'number':>7s} {'opened at most':>15s}")
        for kind, number, most in rows(opens, Path(os.path.realpath(words.source)), parent):
            print(f"{kind:28s} {number:7,d} {most:15,d}")


if __name__ == "__main__":
    main()
