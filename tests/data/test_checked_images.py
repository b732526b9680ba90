"""Images of a data folder that are as they were converted are not opened before a run."""

import os
from pathlib import Path

import pytest

from detect_transfer.config import Data, Synthetic
from detect_transfer.core.errors import InputError
from detect_transfer.data import checked_images, convert, run_data
from detect_transfer.data.run_data import RunData, draw_data, load_run_data


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder whose images were noted when it was converted."""
    monkeypatch.setattr(checked_images, "FEWEST", 1)
    monkeypatch.setattr(convert, "_CLOCK_NS", 0)
    draw_data(Synthetic(task="target", train_images=6, val_images=6, size=64), tmp_path / "data", seed=3)
    assert (tmp_path / "data" / checked_images.FILE).is_file()
    return tmp_path / "data"


def load(folder: Path, **settings) -> RunData:
    return load_run_data(Data(path=folder, **settings), drawn=folder / "none")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The images that are opened."""
    opened: list[Path] = []
    read = run_data.read_image_bytes
    monkeypatch.setattr(run_data, "read_image_bytes", lambda path: (opened.append(path), read(path))[1])
    return opened


def test_unchanged_images__are_not_opened_and_give_the_same_run(folder: Path, opened: list[Path]) -> None:
    fewer = load(folder)
    assert not opened
    whole = load(folder, verify="full")
    assert len(opened) == len(whole.paths)
    assert (fewer.fingerprint, fewer.content) == (whole.fingerprint, whole.content)


def test_an_image_of_the_same_length_and_time__is_seen_all_the_same(folder: Path) -> None:
    path = sorted((folder / "images" / "train").iterdir())[0]
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(InputError, match=f"DATA_CHANGED {path}"):
        load(folder)


def test_an_image_that_is_gone__is_an_error(folder: Path) -> None:
    path = sorted((folder / "images" / "train").iterdir())[0]
    path.unlink()
    with pytest.raises(InputError, match=f"IMAGE_MISSING {path}"):
        load(folder)


def test_what_was_written_down_and_is_damaged__is_left_alone(folder: Path, opened: list[Path]) -> None:
    path = folder / checked_images.FILE
    states = checked_images.file_states(folder / "images", [])
    written = path.read_bytes()
    for position in range(0, len(written), 23):
        path.write_bytes(written[:position] + bytes([written[position] ^ 0xFF]) + written[position + 1 :])
        assert checked_images.unchanged_images(folder, states).is_empty()
    path.write_bytes(b"PAR1")
    assert len(load(folder).paths) == len(opened)
