"""Videos as frames: what comes out, in order, and what is said of those that are no video or end too early."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from detect_transfer.core.errors import DetectTransferError, InputError
from detect_transfer.core.video import frame_name, frames, frames_at, parse_frame_name, read_video_size_wh

SIZE_WH = (64, 48)


def plain(number: int) -> np.ndarray:
    """A frame (H, W, 3) of one colour of its own, RGB."""
    return np.full((SIZE_WH[1], SIZE_WH[0], 3), (10 + 5 * number, 100, 240 - 5 * number), np.uint8)


def write_video(path: Path, n: int) -> Path:
    code = {".mp4": "mp4v", ".avi": "MJPG"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 10, SIZE_WH)
    for number in range(n):
        writer.write(plain(number)[..., ::-1])
    writer.release()
    return path


def write_seq(path: Path, n: int, *, kind: int = 102, stated: int | None = None, padding: int = 0) -> Path:
    """A sequence by hand: the header of 1024 bytes, then the frames, each with the eight bytes of its time."""
    width, height = SIZE_WH
    bits = 8 if kind == 100 else 24
    raw_bytes = width * height * bits // 8
    header = struct.pack("<I", 0xFEED) + "Norpix seq".encode("utf-16-le") + bytes(4) + struct.pack("<iI", 3, 1024)
    header += bytes(512)
    header += struct.pack(
        "<9Id", width, height, bits, 8, raw_bytes, kind, n if stated is None else stated, 0, raw_bytes + 8, 30.0
    )
    data = header.ljust(1024, b"\0")
    for number in range(n):
        bgr = plain(number)[..., ::-1]
        if kind == 100:
            data += bgr[..., 1].tobytes()
        elif kind == 200:
            data += bgr.tobytes()
        else:
            packed = cv2.imencode(".png" if kind in (1, 2) else ".jpg", bgr)[1].tobytes()
            data += struct.pack("<I", len(packed) + 4) + packed
        data += struct.pack("<IHH", 1_000_000 + number, 500, 0) + bytes(padding)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_frames__come_in_order_and_in_rgb(tmp_path, suffix):
    found = list(frames(write_video(tmp_path / f"a{suffix}", 9)))
    assert [f.shape for f in found] == [(48, 64, 3)] * 9
    for number, frame in enumerate(found):
        assert np.abs(frame.mean((0, 1)) - plain(number)[0, 0]).max() < 6
    assert read_video_size_wh(tmp_path / f"a{suffix}") == SIZE_WH


@pytest.mark.parametrize(
    ("kind", "padding", "stated"),
    [
        pytest.param(102, 0, None, id="grey-jpeg"),
        pytest.param(201, 0, None, id="jpeg"),
        pytest.param(201, 8, None, id="jpeg-padded-time"),
        pytest.param(201, 0, 0, id="jpeg-count-not-stated"),
        pytest.param(2, 0, None, id="png"),
        pytest.param(200, 0, None, id="raw"),
    ],
)
def test_frames__of_a_sequence(tmp_path, kind, padding, stated):
    path = write_seq(tmp_path / "V000.seq", 5, kind=kind, padding=padding, stated=stated)
    found = list(frames(path))
    assert len(found) == 5
    for number, frame in enumerate(found):
        assert np.abs(frame.astype(int) - plain(number)).max() <= (3 if kind in (102, 201) else 0)
    assert read_video_size_wh(path) == SIZE_WH


def test_frames__of_a_raw_grey_sequence(tmp_path):
    found = list(frames(write_seq(tmp_path / "a.seq", 2, kind=100)))
    assert (found[1] == 100).all()
    assert found[1].shape == (48, 64, 3)


def test_frames_at__gives_what_is_wanted_once_and_in_order(tmp_path):
    path = write_video(tmp_path / "a.avi", 12)
    found = dict(frames_at(path, [7, 2, 7]))
    assert list(found) == [2, 7]
    assert abs(int(found[7][0, 0, 0]) - 45) < 6
    with pytest.raises(
        InputError, match=r"FRAME_MISSING .*frame=12 - frame 12 is annotated, the video has frames 0 to 11"
    ):
        list(frames_at(path, [0, 12]))


def overwritten(path: Path, start: int, length: int) -> Path:
    """Put zeros over a part of a file."""
    data = bytearray(path.read_bytes())
    data[start : start + length] = bytes(length)
    path.write_bytes(data)
    return path


def cut(path: Path, length: int) -> Path:
    """Keep the first bytes of a file; a negative length leaves out so many at the end."""
    path.write_bytes(path.read_bytes()[:length])
    return path


def holding(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


DAMAGED = [
    pytest.param(lambda at: at / "a.mp4", "VIDEO_MISSING", id="missing"),
    pytest.param(lambda at: holding(at / "a.mp4", b""), "VIDEO_EMPTY", id="empty"),
    pytest.param(lambda at: holding(at / "a.mp4", b"no video\n" * 99), "VIDEO_TYPE", id="text"),
    pytest.param(lambda at: holding(at / "a.seq", b"no video\n" * 999), "VIDEO_TYPE", id="seq-text"),
    pytest.param(lambda at: at, "FILE_KIND", id="folder"),
    pytest.param(lambda at: cut(write_video(at / "a.mp4", 9), 400), "VIDEO_TYPE", id="mp4-without-index"),
    pytest.param(lambda at: cut(write_video(at / "a.avi", 200), 30_000), "VIDEO_TRUNCATED", id="avi-cut"),
    pytest.param(lambda at: cut(write_seq(at / "a.seq", 1), 900), "VIDEO_TRUNCATED", id="seq-header-cut"),
    pytest.param(lambda at: cut(write_seq(at / "a.seq", 3), -300), "VIDEO_TRUNCATED", id="seq-frame-cut"),
    pytest.param(lambda at: write_seq(at / "a.seq", 3, stated=4), "VIDEO_TRUNCATED", id="seq-fewer-than-stated"),
    pytest.param(lambda at: write_seq(at / "a.seq", 0), "VIDEO_TRUNCATED", id="seq-without-frames"),
    pytest.param(lambda at: write_seq(at / "a.seq", 3, kind=101), "VIDEO_TYPE", id="seq-of-bayer-pixels"),
    pytest.param(lambda at: overwritten(write_seq(at / "a.seq", 3), 1030, 30), "VIDEO_TRUNCATED", id="seq-bad-jpeg"),
    pytest.param(lambda at: overwritten(write_seq(at / "a.seq", 3), 1024, 4), "VIDEO_TRUNCATED", id="seq-no-length"),
]


@pytest.mark.parametrize(("make", "code"), DAMAGED)
def test_frames__of_what_is_no_whole_video(tmp_path, capfd, make, code):
    path = make(tmp_path)
    capfd.readouterr()
    with pytest.raises(DetectTransferError) as caught:
        list(frames(path))
    assert caught.value.code == code
    assert caught.value.exit_code == 2
    assert capfd.readouterr().err == "", "OpenCV has nothing to add"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("JAAD_clips/video_0001.mp4#00012", ("JAAD_clips/video_0001.mp4", 12)),
        ("set00/V000.seq#123456", ("set00/V000.seq", 123456)),
        ("A.MP4#00000", ("A.MP4", 0)),
        ("a#00012.png", None),
        ("a.mp4", None),
        ("a.mp4#12x", None),
        ("a.mp4#-1", None),
        ("a.png#00012", None),
    ],
)
def test_frame_names(name, expected):
    assert parse_frame_name(name) == expected
    if expected is not None:
        assert parse_frame_name(frame_name(*expected)) == expected
