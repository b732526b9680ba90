"""What the tests of the readers share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from paths import DATASETS, SHARED
from PIL import Image

from detect_transfer.core.errors import DetectTransferError

REAL_DATA = SHARED / "data"

Write = Callable[..., Path]
ErrorOf = Callable[[Callable[[], object]], DetectTransferError]
CheckError = Callable[..., None]


@pytest.fixture
def shared() -> Path:
    """The folder of real data, which not every machine has."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real data in {REAL_DATA}")
    return REAL_DATA


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the temporary folder: text, bytes, or an image of the size (w, h)."""

    def _write(name: str, content: str | bytes | tuple[int, int] = b"") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, tuple):
            Image.new("RGB", content, (90, 120, 150)).save(path)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return _write


@pytest.fixture
def sample(tmp_path: Path) -> Callable[[str], Path]:
    """Copy the sample of a data set to the temporary folder."""

    def _sample(name: str) -> Path:
        return Path(shutil.copytree(DATASETS / name / "sample", tmp_path / name))

    return _sample


def _error_of(read: Callable[[], object]) -> DetectTransferError:
    with pytest.raises(DetectTransferError) as caught:
        read()
    error = caught.value
    assert error.exit_code == 2
    assert all(" - " in line and "; " in line for line in str(error).splitlines())
    return error


@pytest.fixture
def error_of() -> ErrorOf:
    """Return the error that reading ends with: one of ours, of wrong input, a line for each problem."""
    return _error_of


@pytest.fixture
def check_error() -> CheckError:
    """Check that one line of the error begins with the code and holds all parts."""

    def _check_error(read: Callable[[], object], code: str, *parts: str) -> None:
        error = _error_of(read)
        lines = str(error).splitlines()
        assert any(line.startswith(f"{code} ") and all(part in line for part in parts) for line in lines), str(error)

    return _check_error


@pytest.fixture
def yolo_root(write: Write, tmp_path: Path) -> Path:
    """A whole YOLO data set: two images to train on, one to score on, a box each."""
    for name in ("train/a", "train/b", "val/c"):
        write(f"images/{name}.png", (40, 30))
        write(f"labels/{name}.txt", "0 0.5 0.5 0.25 0.2\n")
    write("data.yaml", "train: images/train\nval: images/val\nnames: [car, dog]\n")
    return tmp_path
