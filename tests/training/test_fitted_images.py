"""Fitted images that are kept for other runs: the same pixels, never those of another image, and never in the way."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detect_transfer.core.errors import InputError
from detect_transfer.core.input_size import InputSize
from detect_transfer.core.intake import Intake
from detect_transfer.models.letterbox import letterbox
from detect_transfer.training import fitted_images
from detect_transfer.training.fitted_images import SUFFIX, FittedImages

SIZE = InputSize(64, 96)
SHAPES = [(30, 40), (100, 20), (7, 300), (64, 96), (1, 1), (333, 500)]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Files that were changed long ago; what is in them is not looked at here."""
    paths = [tmp_path / f"{i}.png" for i in range(len(SHAPES))]
    for i, path in enumerate(paths):
        path.write_text(f"image {i}")
        settle(path)
    return paths


def settle(path: Path, seconds: int = 1_700_000_000) -> None:
    """Let a file be as old as a clock allows; its inode tells it from others."""
    os.utime(path, (seconds, seconds))


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files that were made just now for old ones."""
    monkeypatch.setattr(fitted_images, "_CLOCK_NS", -(10**9))


class Reader:
    """What reads and fits images, and counts how often."""

    def __init__(self) -> None:
        self.n_read = 0

    def __call__(self, index: int, size: InputSize = SIZE) -> Any:
        def read() -> Any:
            self.n_read += 1
            image = np.random.default_rng(index).integers(0, 256, (*SHAPES[index], 3), dtype=np.uint8)
            return letterbox(image, size)[0], SHAPES[index]

        return read


def kept_in(folder: Path, files: list[Path], most_bytes: int = 10**9, **given: Any) -> FittedImages:
    kept = FittedImages(folder, **{"decode": "full", "intake": None, "most_bytes": most_bytes, **given})
    kept.make_room(files, [SIZE] * len(files))
    return kept


def run_of(kept: FittedImages, files: list[Path]) -> tuple[int, list[Any]]:
    """Return how many images a run read, and what it got."""
    read = Reader()
    return_values = [kept.get(path, SIZE, read(i)) for i, path in enumerate(files)]
    return read.n_read, return_values


def assert_right(images: list[Any]) -> None:
    for i, (pixels, size_hw) in enumerate(images):
        expected, shape = Reader()(i)()
        assert np.array_equal(pixels, expected)
        assert pixels.dtype == np.uint8
        assert tuple(size_hw) == shape


def test_second_run__reads_no_image_and_has_the_same_pixels(files: list[Path], tmp_path: Path) -> None:
    for expected in (len(files), 0):
        kept = pickle.loads(pickle.dumps(kept_in(tmp_path / "kept", files)))  # as in a spawned process
        n_read, images = run_of(kept, files)
        assert n_read == expected
        assert_right(images)


def test_image_behind_a_link__is_that_of_its_file(files: list[Path], tmp_path: Path) -> None:
    run_of(kept_in(tmp_path / "kept", files), files)
    links = [tmp_path / f"link{i}.png" for i in range(len(files))]
    for link, path in zip(links, files, strict=True):
        link.symlink_to(path)
    n_read, images = run_of(kept_in(tmp_path / "kept", links), links)
    assert n_read == 0
    assert_right(images)


def rewritten(path: Path) -> None:
    path.write_text("IMAGE 0")  # of the same length, in the same inode, and set back to the time of before
    settle(path)


def replaced(path: Path) -> None:
    path.unlink()
    path.write_text("IMAGE 0")
    settle(path)


@pytest.mark.parametrize("change", [rewritten, replaced, lambda path: path.write_text("longer")])
def test_image_that_changed__is_read_again(change: Any, files: list[Path], tmp_path: Path) -> None:
    run_of(kept_in(tmp_path / "kept", files), files)
    change(files[0])
    n_read, images = run_of(kept_in(tmp_path / "kept", files), files)
    assert n_read == 1
    assert_right(images)


@pytest.mark.parametrize(
    "other",
    [{"decode": "scaled"}, {"intake": Intake("fixed", 0, 9)}, {"code": "x"}, {"size": InputSize(96, 64)}],
    ids=str,
)
def test_other_way_of_reading__is_another_image(
    other: dict[str, Any], files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_of(kept_in(tmp_path / "kept", files), files)
    if "code" in other:
        monkeypatch.setattr(fitted_images, "code_sha256", lambda: other["code"])
    given = {key: value for key, value in other.items() if key in ("decode", "intake")}
    kept, read = kept_in(tmp_path / "kept", files, **given), Reader()
    kept.get(files[0], other.get("size", SIZE), read(0, other.get("size", SIZE)))
    assert read.n_read == 1


def test_camera__tells_images_of_one_file_apart(files: list[Path], tmp_path: Path) -> None:
    windows = {"": (0.0, 1.0), "a": (0.0, 2.0), "b": (0.0, 3.0)}
    intake = Intake("per_camera", 0.5, 99.5, "cam_(.)", windows)
    read = Reader()
    for name in ("cam_a", "cam_b", "cam_a"):
        (tmp_path / f"{name}.png").unlink(missing_ok=True)
        (tmp_path / f"{name}.png").symlink_to(files[0])
        kept_in(tmp_path / "kept", files, intake=intake).get(tmp_path / f"{name}.png", SIZE, read(0))
    assert read.n_read == 2


@pytest.mark.parametrize("place", [0, 31, 32, 39, 40, -1])
def test_flipped_bit__is_found_and_mended(
    place: int, files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_of(kept_in(tmp_path / "kept", files), files)
    damaged = sorted((tmp_path / "kept").rglob(f"*{SUFFIX}"))[2]
    data = bytearray(damaged.read_bytes())
    data[place] ^= 4
    damaged.write_bytes(data)
    for expected in (1, 0):
        n_read, images = run_of(kept_in(tmp_path / "kept", files), files)
        assert n_read == expected
        assert_right(images)
    assert [str(damaged) in record.message for record in caplog.records] == [True]


@pytest.mark.parametrize("data", [b"", b"short", b"\0" * 50])
def test_torn_file__is_read_again(data: bytes, files: list[Path], tmp_path: Path) -> None:
    run_of(kept_in(tmp_path / "kept", files), files)
    sorted((tmp_path / "kept").rglob(f"*{SUFFIX}"))[0].write_bytes(data)
    n_read, images = run_of(kept_in(tmp_path / "kept", files), files)
    assert n_read == 1
    assert_right(images)


def test_file_under_the_name_of_another__is_not_taken_for_it(files: list[Path], tmp_path: Path) -> None:
    run_of(kept_in(tmp_path / "kept", files), files)
    first, second = sorted((tmp_path / "kept").rglob(f"*{SUFFIX}"))[:2]
    shutil.copy(first, second)
    n_read, images = run_of(kept_in(tmp_path / "kept", files), files)
    assert n_read == 1
    assert_right(images)


def test_image_that_was_changed_just_now__is_not_kept(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitted_images, "_CLOCK_NS", 2 * 10**9)
    run_of(kept_in(tmp_path / "kept", files), files)
    assert not list((tmp_path / "kept").rglob(f"*{SUFFIX}"))


def test_image_that_changes_while_it_is_read__is_not_kept(files: list[Path], tmp_path: Path) -> None:
    kept = kept_in(tmp_path / "kept", files)

    def read() -> Any:
        files[0].write_text("IMAGE 0")
        return Reader()(0)()

    kept.get(files[0], SIZE, read)
    assert not list((tmp_path / "kept").rglob(f"*{SUFFIX}"))


def test_folder__holds_what_was_used_last(files: list[Path], tmp_path: Path) -> None:
    of_image = 3 * SIZE.area
    run_of(kept_in(tmp_path / "kept", files[:2]), files[:2])
    for path in (tmp_path / "kept").rglob(f"*{SUFFIX}"):
        settle(path)
    run_of(kept_in(tmp_path / "kept", files[:1]), files[:1])  # used again
    others = [tmp_path / f"other{i}.png" for i in range(len(files))]
    for other in others:
        other.write_text(other.name)
    total = sum(path.stat().st_size for path in (tmp_path / "kept").rglob(f"*{SUFFIX}"))
    run_of(kept_in(tmp_path / "kept", others[:1], total + of_image - 1), others[:1])
    assert run_of(kept_in(tmp_path / "kept", files[:1]), files[:1])[0] == 0
    assert run_of(kept_in(tmp_path / "kept", [*files[:1], *others[:1]]), files[:2])[0] == 1


def test_images_that_do_not_fit__are_read_every_time_and_it_is_said(
    files: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = kept_in(tmp_path / "kept", files, most_bytes=3 * SIZE.area)
    assert "train.cache_folder_mb" in caplog.text
    for _ in range(2):
        n_read, images = run_of(kept, files)
        assert n_read == len(files)
        assert_right(images)
    assert not list((tmp_path / "kept").rglob(f"*{SUFFIX}"))


def test_half_written_file_of_a_killed_run__goes_after_a_day(files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "kept" / "ab").mkdir(parents=True)
    old, new = (tmp_path / "kept" / "ab" / f"{name}.tmp" for name in ("old", "new"))
    old.write_text("x")
    new.write_text("x")
    settle(old)
    kept_in(tmp_path / "kept", files)
    assert not old.exists()
    assert new.exists()


def test_two_runs_at_once__both_have_the_images(files: list[Path], tmp_path: Path) -> None:
    outcomes: list[Any] = []
    same = [files[0]] * 1 + files[1:]

    def run() -> None:
        for _ in range(20):
            kept = kept_in(tmp_path / "kept", same, most_bytes=4 * 3 * SIZE.area)
            outcomes.append(run_of(kept, same)[1])
            shutil.rmtree(tmp_path / "kept", ignore_errors=True)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 60
    for images in outcomes:
        assert_right(images)


def refuse(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


def test_full_disk__is_said_once_and_the_run_goes_on(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Path, "write_bytes", refuse)
    n_read, images = run_of(kept_in(tmp_path / "kept", files), files)
    assert n_read == len(files)
    assert_right(images)
    assert [record.message.endswith("are kept there") for record in caplog.records] == [True]
    assert "No space left on device" in caplog.text


def test_read_only_folder__is_used_as_it_is(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_of(kept_in(tmp_path / "kept", files[:3]), files[:3])
    for name in ("mkdir", "write_bytes", "unlink", "replace"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr(os, "utime", refuse)
    n_read, images = run_of(kept_in(tmp_path / "kept", files), files)
    assert n_read == len(files) - 3
    assert_right(images)
    assert len(caplog.records) == 1


def test_file_in_the_place_of_the_folder__is_refused(files: list[Path]) -> None:
    with pytest.raises(InputError, match="cache_folder") as caught:
        kept_in(files[0], files)
    assert caught.value.code == "FILE_KIND"


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
