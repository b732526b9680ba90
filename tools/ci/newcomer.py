"""Go the way of a newcomer: the five lines of README.md to the letter, from a folder of images to an exported model.

    python tools/ci/newcomer.py                                   # drawn street scenes, annotated as road signs are
    python tools/ci/newcomer.py --layout pedestrians --brief      # as Penn-Fudan is; one epoch at 96 px
    python tools/ci/newcomer.py --data DIR --weights yolo11n.pt   # a real folder, and the published weights
    python tools/ci/newcomer.py --install                         # the first line too, in a copy of this checkout

The folder is put where the lines have MY_DATA, some of its images where they have NEW_IMAGES. The weights that `init`
chooses lie beside them as a reader without network has them; without `--weights` the embedded ones stand in.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
from PIL import Image

from detect_transfer import convert
from detect_transfer.core.annotations import XYXY, AnnotationTable
from detect_transfer.core.images import IMAGE_SUFFIXES
from detect_transfer.core.io import list_files
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.synthetic.dataset import write_scenes

ROOT = Path(__file__).resolve().parents[2]
HEADING = "## Your folder, five lines"
BRIEF = " train.epochs=1 train.imgsz=96 train.batch=8"  # after the line that trains
MODEL = Path("exported", "model.onnx")
PERSON = '"PASpersonWalking"'
N_DRAWN, N_NEW = 240, 8


def lines_of_readme() -> list[str]:
    """Return the five lines, without what they say about themselves."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition(HEADING)[2]
    block = re.search(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert block is not None, f"README.md has no lines below {HEADING}"
    return [line.partition("  #")[0].strip() for line in block[1].splitlines()]


def prepare(folder: Path, *, layout: str, data: Path | None, weights: Path, images: int) -> None:
    """Put MY_DATA, NEW_IMAGES and the weights into a folder."""
    mine = folder / "MY_DATA"
    if data is None:
        side = 320 if images >= N_DRAWN else 96
        table = write_scenes(folder / "drawn", "target", counts={"all": images}, seed=0, size_wh=(side, side))
        {"signs": write_voc, "pedestrians": write_penn_fudan}[layout](table, mine)
    else:
        mine.symlink_to(data.resolve())
    (folder / "NEW_IMAGES").mkdir()
    for name in list_files(mine, IMAGE_SUFFIXES)[:N_NEW]:
        shutil.copyfile(mine / name, folder / "NEW_IMAGES" / Path(name).name)
    (folder / "weights").mkdir()
    (folder / "weights" / f"yolo11n{weights.suffix}").symlink_to(weights.resolve())


def write_voc(table: AnnotationTable, folder: Path) -> None:
    """Write a table as Road Sign Detection is published: VOC XML beside images, without a split."""
    made = folder.with_name("made")
    convert(table, made, targets="voc", split={"all": 1.0})
    shutil.move(made / "voc", folder)
    shutil.rmtree(folder / "ImageSets")


def write_penn_fudan(table: AnnotationTable, folder: Path) -> None:
    """Write a table as Penn-Fudan is published: a text of PASCAL version 1.00 an image, objects of one class."""
    assert table.image_root is not None
    for part in ("Annotation", "PNGImages"):
        (folder / part).mkdir(parents=True)
    for image_id, name, width, height in table.images.select("image_id", "file_name", "width", "height").iter_rows():
        png = f"FudanPed{image_id:05d}.png"
        Image.open(table.image_root / name).save(folder / "PNGImages" / png)
        boxes = table.boxes.filter(pl.col("image_id") == image_id).select(XYXY).iter_rows()
        corners = [tuple(round(value) for value in box) for box in boxes]
        lines = [
            "# Compatible with PASCAL Annotation Version 1.00",
            f'Image filename : "PennFudanPed/PNGImages/{png}"',
            f"Image size (X x Y x C) : {width} x {height} x 3",
            f"Objects with ground truth : {len(corners)} {{ " + f"{PERSON} " * len(corners) + "}",
            "# Top left pixel co-ordinates : (1, 1)",
        ]
        for i, (x1, y1, x2, y2) in enumerate(corners, 1):
            shown = f"({x1 + 1}, {y1 + 1}) - ({x2}, {y2})"
            lines.append(f"Bounding box for object {i} {PERSON} (Xmin, Ymin) - (Xmax, Ymax) : {shown}")
        (folder / "Annotation" / f"{Path(png).stem}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def run_in_shell(line: str, folder: Path) -> None:
    """Run a line as a reader does; where the folder has an environment, that is active."""
    own = folder / ".venv" / "bin"
    environment = {**os.environ, "PATH": f"{own}{os.pathsep}{os.environ['PATH']}"} if own.is_dir() else dict(os.environ)
    subprocess.run(["bash", "-ec", line], cwd=folder, env=environment, check=True)


def busy_seconds() -> float:
    """Return what this process and those that ended below it took of all processors."""
    return sum(os.times()[:4])


def walk(folder: Path, lines: Sequence[str], run: Callable[[str, Path], None] = run_in_shell) -> None:
    """Run the lines one after the other, print the seconds of each, and see that the last one left a model."""
    total = 0.0
    for line in lines:
        start, busy = time.perf_counter(), busy_seconds()
        run(line, folder)
        seconds, busy = time.perf_counter() - start, busy_seconds() - busy
        is_install = "pip install" in line
        total += 0.0 if is_install else seconds
        print(
            f"+ {line}\n  {seconds:.1f} s, {busy:.1f} s of processors{' (installing)' if is_install else ''}",
            flush=True,
        )
    assert (folder / MODEL).is_file(), f"the lines left no {MODEL}"
    print(f"from MY_DATA to {MODEL} in {total / 60:.1f} minutes besides installing")


def main() -> None:
    """Prepare a folder and walk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of images and annotations; without it scenes are drawn")
    parser.add_argument("--layout", choices=["signs", "pedestrians"], default="signs", help="of the drawn scenes")
    parser.add_argument("--weights", type=Path, default=EMBEDDED, help="what `yolo11n` is")
    parser.add_argument("--images", type=int, default=N_DRAWN, help="how many are drawn")
    parser.add_argument("--brief", action="store_true", help="train one epoch at 96 px")
    parser.add_argument("--install", action="store_true", help="run the first line too")
    options = parser.parse_args()
    lines = lines_of_readme()
    with tempfile.TemporaryDirectory(prefix="newcomer-") as scratch:
        folder = Path(scratch)
        if options.install:
            tracked = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True)
            subprocess.run(["tar", "x"], cwd=folder, input=tracked.stdout, check=True)
        prepare(folder, layout=options.layout, data=options.data, weights=options.weights, images=options.images)
        walk(folder, shortened(lines[0 if options.install else 1 :], brief=options.brief))


def shortened(lines: Sequence[str], *, brief: bool) -> list[str]:
    """Return the lines, of which the one that trains is made a short one where that is asked for."""
    return [line + BRIEF if brief and " train " in line else line for line in lines]


if __name__ == "__main__":
    main()
