"""How fast the readers are, and how time and memory grow: each format on generated native files of several sizes.

    python tools/benchmarks/readers_speed.py [--formats coco,lisa,...] [--most 1000000] [--repeat 3] [--scratch DIR]

Row formats (one file for many images: CSV-like and COCO) are read at 10,000, 100,000 and 1,000,000 boxes, formats
with a file for each image at 10,000 and 100,000, ten boxes an image. Every read runs in a process of its own, timed
from after the imports; of several runs the fastest counts. Printed are boxes a second, the processor time beside the
time on the wall (on a busy machine they differ), the peak memory of the process, and the slopes of log time and of log
memory (above that of an empty process) over log boxes: 1 is linear. Where globox reads the format it is timed on the
same files; Datumaro is not timed, and whether it is installed is said. Exit code 1: a limit is missed by the largest
set. Needs `pip install detect-transfer[bench]`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import machine
import native_sets
import numpy as np

LEAST_PER_SECOND = {"rows": 200_000, "files": 30_000}
SIZES = {"rows": (10_000, 100_000, 1_000_000), "files": (10_000, 100_000)}
MOST_GB = 2.0  # of a table of a million boxes
MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Case:
    """A format to time.

    Args:
        kind: `rows` or `files`.
        write: Makes a native data set of so many boxes.
        options: Of the reader.
        globox: The name of globox's reader and what is given to it, relative to the root.
    """

    kind: str
    write: Callable[[Path, int], None]
    options: dict[str, Any] = field(default_factory=dict)
    globox: tuple[str, str] | None = None


CASES: dict[str, Case] = {
    "coco": Case("rows", native_sets.write_coco, globox=("from_coco", "instances.json")),
    "gtsdb": Case("rows", native_sets.write_gtsdb),
    "lisa": Case("rows", native_sets.write_lisa, {"missing_images": "keep"}),
    "mot17det": Case("rows", native_sets.write_mot, {"missing_images": "keep"}),
    "rtsd": Case("rows", native_sets.write_rtsd, {"missing_images": "keep"}),
    "bdd100k": Case("files", native_sets.write_bdd, {"missing_images": "keep"}),
    "labelme": Case("files", native_sets.write_labelme, globox=("from_labelme", ".")),
    "mtsd": Case("files", native_sets.write_mtsd, {"missing_images": "keep"}),
    "voc": Case("files", native_sets.write_voc, globox=("from_pascal_voc", "Annotations")),
    "yolo": Case("files", native_sets.write_yolo),
}


def timed(read: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return what a call gives, with its seconds on the wall and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    result = read()
    return result, {"seconds": time.perf_counter() - wall, "processor": time.process_time() - processor}


def run_ours(name: str, root: Path, _: int) -> dict[str, float]:
    """Read with this project; return seconds and boxes."""
    from detect_transfer.formats import get_format

    form, path = get_format(name), root / "instances.json" if name == "coco" else root
    table, figures = timed(lambda: form.read(path, **CASES[name].options))
    return {**figures, "boxes": len(table.boxes)}


def run_globox(name: str, root: Path, _: int) -> dict[str, float]:
    """Read with globox; return seconds and boxes."""
    from globox import AnnotationSet

    method, path = CASES[name].globox or ("", "")
    result, figures = timed(lambda: getattr(AnnotationSet, method)(root / path))
    return {**figures, "boxes": sum(len(one.boxes) for one in result)}


def run_write(name: str, root: Path, boxes: int) -> dict[str, float]:
    """Write a native set of so many boxes."""
    CASES[name].write(root, boxes)
    return {}


def run_nothing(name: str, root: Path, _: int) -> dict[str, float]:
    """Import what is needed and read nothing, for the memory of an empty process."""
    from detect_transfer.formats import get_format

    get_format(name)
    return {}


RUNNERS = {"ours": run_ours, "globox": run_globox, "write": run_write, "nothing": run_nothing}


def measure(runner: str, name: str, root: Path, *, repeat: int = 1, boxes: int = 0) -> dict[str, float]:
    """Read, or write so many boxes, in fresh processes; return the fastest run, with the largest peak memory of all."""
    home = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, __file__, "--run", runner, name, str(root), str(boxes)]
    runs = []
    for _ in range(repeat):
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    fastest = min(runs, key=lambda run: run["seconds"])
    return {**fastest, "peak_gb": max(run["peak_gb"] for run in runs)}


def slope(sizes: list[int], values: list[float]) -> str:
    """Return the slope of log value over log size."""
    if len(sizes) < 2:
        return "-"
    return f"{np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-4)), 1)[0]:.2f}"


def time_format(name: str, *, most: int, repeat: int, scratch: Path | None) -> bool:
    """Time one format at all its sizes, print what was found, and say whether it keeps the limits."""
    case = CASES[name]
    measurements, theirs = [], None
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        sizes = [n for n in SIZES[case.kind] if n <= most]
        for n in sizes:
            root = Path(folder) / str(n)
            root.mkdir()
            measure("write", name, root, boxes=n)  # in a process of its own: a child's peak includes its parent's size
            measurements.append(measure("ours", name, root, repeat=repeat))
            if measurements[-1]["boxes"] != n:
                print(f"{name}: {measurements[-1]['boxes']:,} boxes were read of {n:,}")
                return False
            if case.globox is not None and n == sizes[-1]:
                theirs = measure("globox", name, root, repeat=repeat)
        empty = measure("nothing", name, Path(folder))["peak_gb"]
    for one in measurements:
        rate = f"{one['boxes'] / one['seconds']:>9,.0f} boxes/s"
        seconds = f"{one['seconds']:7.2f} s ({one['processor']:.2f} s processor)"
        print(f"{name:10s} {one['boxes']:>9,} boxes {seconds} {rate}   peak {one['peak_gb']:.2f} GB")
    last = measurements[-1]
    of_time, of_memory = (
        slope(sizes, [one["seconds"] for one in measurements]),
        slope(sizes, [one["peak_gb"] - empty for one in measurements]),
    )
    print(f"{'':10s} slope of time {of_time}, of memory {of_memory} above {empty:.2f} GB")
    if theirs is not None:
        ratio = theirs["seconds"] / last["seconds"]
        print(
            f"{'':10s} globox {theirs['seconds']:.2f} s, peak {theirs['peak_gb']:.2f} GB: ours is {ratio:.2f} x as fast"
        )
    sys.stdout.flush()
    return last["boxes"] / last["seconds"] >= LEAST_PER_SECOND[case.kind] and last["peak_gb"] <= MOST_GB


def main() -> int:
    """Time all formats; print; say by the exit code whether all keep the limits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formats", default=",".join(CASES))
    parser.add_argument("--most", type=int, default=1_000_000, help="boxes of the largest set")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--scratch", type=Path, default=MEMORY if MEMORY.is_dir() else None)
    parser.add_argument("--run", nargs=4, metavar=("RUNNER", "FORMAT", "ROOT", "BOXES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        runner, name, root, boxes = options.run
        figures = RUNNERS[runner](name, Path(root), int(boxes))
        print(json.dumps({"seconds": 0.0, **figures, "peak_gb": machine.peak_gb()}))
        return 0
    there = {name: importlib.util.find_spec(name) is not None for name in ("globox", "datumaro")}
    others = ", ".join(f"{name} {'is' if installed else 'is not'} installed" for name, installed in there.items())
    print(f"Python {platform.python_version()}; {machine.processor()}; {others}")
    names = options.formats.split(",")
    kept = {n: time_format(n, most=options.most, repeat=options.repeat, scratch=options.scratch) for n in names}
    missed = [name for name, good in kept.items() if not good]
    limits = ", ".join(f"{kind} {n:,} boxes/s" for kind, n in LEAST_PER_SECOND.items())
    print(f"limits: {limits}, {MOST_GB} GB; missed by: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
