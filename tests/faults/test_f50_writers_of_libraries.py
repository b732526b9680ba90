"""F50: libraries that write files themselves where a disk is full: they crash, raise errors of their own, or go on."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from detect_transfer.core.disk import full_disk_errors
from detect_transfer.core.errors import ResourceError
from detect_transfer.core.video import read_video_size_wh
from detect_transfer.report.video import VideoFile, write_video
from detect_transfer.workflows import predict

# files may not grow beyond a share of the model, in a process of its own, which some writers would end
EXPORTS = """
import resource, sys
from pathlib import Path
from detect_transfer.models.export import targets as writers
from detect_transfer.core.choices import ExportTarget
from detect_transfer.core.errors import ResourceError
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.workflows.export import export_detector
from detect_transfer.workflows.export_options import ExportOptions
from detect_transfer.workflows.trained_detector import load_trained

def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, resource.RLIM_INFINITY))

trained, out = load_trained(EMBEDDED, device="cpu", imgsz=64), Path(sys.argv[1])
for target in sys.argv[2:]:
    at = writers.write_openvino if target == "openvino" else None  # only what it writes itself, not the ONNX before
    if at is not None:
        writers.write_openvino = lambda *given: (limit(), at(*given))
    else:
        limit()
    try:
        export_detector(trained, out, ExportOptions((ExportTarget(target),)), None, gated=False)
        print(target, "written")
    except ResourceError as error:
        print(target, error.code, len(list(out.parent.iterdir())))
"""


def test_export__that_cannot_be_written_is_a_fault_of_the_machine_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    targets = [*(["openvino"] if find_spec("openvino") else []), "torchscript", "ultralytics-pt", "onnx"]
    (tmp_path / "work").mkdir()
    words = [sys.executable, "-c", EXPORTS, str(tmp_path / "work" / "out"), *targets]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[-len(targets) - 1 : -1] == [f"{target} WRITE_FAILED 0" for target in targets]


@pytest.mark.parametrize("inside", [None, ValueError("of a library")])
def test_full_disk__is_said_whatever_the_library_did(
    inside: Exception | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> None:
        with full_disk_errors(tmp_path):
            if inside is not None:
                raise inside

    if inside is None:
        write()
    else:
        with pytest.raises(ValueError, match="of a library"):
            write()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(ResourceError, match="DISK_FULL"):
        write()


def test_video__has_its_name_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, frame = tmp_path / "a.mp4", np.zeros((64, 64, 3), np.uint8)
    for end in ("finish", "discard", "finish"):
        video = VideoFile(path, fps=10)
        video.write(frame)
        assert not path.exists()
        getattr(video, end)()
        assert [each.name for each in tmp_path.iterdir()] == (["a.mp4"] if end == "finish" else [])
        path.unlink(missing_ok=True)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 30))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    video = VideoFile(path, fps=10)
    video.write(frame)
    with pytest.raises(ResourceError, match=r"VIDEO_WRITE .* disk is full"):
        video.finish()
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="of a frame"):
        write_video(path, _broken(frame), fps=10)
    assert not list(tmp_path.iterdir())


def _broken(frame: np.ndarray) -> Iterator[np.ndarray]:
    yield frame
    raise ValueError("of a frame")


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, ValueError])
def test_predict__that_is_stopped_leaves_whole_videos(
    stopped: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_video(tmp_path / "in.mp4", [np.full((64, 64, 3), i, np.uint8) for i in range(8)], fps=10)
    real = predict.detect_stream

    def some(*given: Any) -> Iterator[Any]:
        for result in real(*given):
            yield result
            if result.number == 3:
                raise stopped("now")

    monkeypatch.setattr(predict, "detect_stream", some)
    options = predict.PredictOptions(save_video=True, device="cpu")
    with pytest.raises(stopped):
        predict.predict_sources("embedded", tmp_path / "in.mp4", tmp_path / "out", options)
    videos = list((tmp_path / "out" / "videos").iterdir())
    assert [video.suffix for video in videos] == [".mp4"]
    assert not videos[0].name.startswith(".")
    assert read_video_size_wh(videos[0])
