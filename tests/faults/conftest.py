"""What the tests of faults share: a command that runs in this process, and small things to damage.

A file holds the tests of one fault and is named by its number: `test_f02_corrupt_jpeg.py`.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from detect_transfer.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, and what it wrote to stdout and stderr."""

    code: int
    out: str
    err: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the command line in this process."""

    def run(*words: object) -> Ended:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        return Ended(int(left.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def scene_jpeg() -> bytes:
    """The bytes of a JPEG of 96 x 80 pixels, busy enough that a damaged scan shows."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    _, data = cv2.imencode(".jpg", cv2.resize(small, (96, 80), interpolation=cv2.INTER_CUBIC))
    return data.tobytes()


@pytest.fixture
def data_folder(tiny_data: Path, tmp_path: Path) -> Path:
    """A data folder that a test may damage."""
    return Path(shutil.copytree(tiny_data, tmp_path / "data"))


@pytest.fixture
def yolo_set(tmp_path: Path) -> Path:
    """A YOLO data set of two training and two validation images, PNG of 64 x 48 pixels with two boxes each."""
    root = tmp_path / "set"
    for number, split in enumerate(("train", "train", "val", "val")):
        for folder in ("images", "labels"):
            (root / folder / split).mkdir(parents=True, exist_ok=True)
        small = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        cv2.imwrite(str(root / "images" / split / f"{number}.png"), cv2.resize(small, (64, 48)))
        (root / "labels" / split / f"{number}.txt").write_text("0 0.5 0.5 0.25 0.25\n1 0.3 0.3 0.25 0.25\n")
    (root / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [car, dog]\n")
    return root
