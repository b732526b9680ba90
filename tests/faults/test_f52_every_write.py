"""F52: a signal at the first, a middle and a late call that writes, and a second one while the rest is removed."""

import io
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from detect_transfer.core.io import sha256_file

pytestmark = pytest.mark.timeout(300)
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
FILES = "--truth DATA --detections found.json"
COMMANDS = {
    "convert": "convert data_folder DATA --out OUT --to yolo",
    "unpack": "unpack train.parquet --out OUT",
    "check": "check DATA --out OUT",
    "pre-annotate": "pre-annotate predicted --images DATA/images/val --out OUT",
    "evaluate": f"evaluate {FILES} --out OUT",
    "compare": f"compare {FILES} --detections again.json --out OUT --draws 100",
    "rank-images": "rank-images embedded DATA/images/val --out OUT --imgsz 64 --device cpu",
    "export": "export embedded --to torchscript --no-gate --imgsz 64 --out OUT",
    "study-init": "study init DATA --weights embedded --out OUT",
}


class Writes:
    """Counts the calls that write, and sends this process a signal at one of them."""

    def __init__(self) -> None:
        self.calls = self.at = self.number = 0

    def call(self, function: Callable[..., Any], *words: Any, **more: Any) -> Any:
        self.calls += 1
        if self.calls == self.at:
            os.kill(os.getpid(), self.number)
        return function(*words, **more)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Writes:
    counted, opened = Writes(), io.open
    for name in ("replace", "rename", "fsync"):
        function = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *w, _f=function, **m: counted.call(_f, *w, **m))

    def open_file(file: Any, mode: str = "r", *words: Any, **more: Any) -> Any:
        is_ours = "w" in mode and not str(file).startswith("/dev")
        return counted.call(opened, file, mode, *words, **more) if is_ours else opened(file, mode, *words, **more)

    monkeypatch.setattr(io, "open", open_file)
    return counted


@pytest.fixture(scope="module")
def inputs(few_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands read: detections, twice, and a table with images."""
    base, rows = tmp_path_factory.mktemp("inputs"), []
    for path in sorted((few_data / "images" / "val").iterdir()):
        objects = {"bbox": [[1.0, 2.0, 9.0, 8.0]], "category": ["a"]}
        rows.append({"image": {"bytes": path.read_bytes(), "path": path.name}, "objects": objects})
    pl.DataFrame(rows).write_parquet(base / "train.parquet")
    from detect_transfer.cli import main

    with pytest.raises(SystemExit):
        main(f"predict embedded {few_data}/images/val --out {base}/predicted --imgsz 64 --device cpu".split())
    boxes = json.loads((few_data / "annotations" / "instances_val.json").read_text())["annotations"]
    found = [{**{key: box[key] for key in ("image_id", "category_id", "bbox")}, "score": 0.5} for box in boxes]
    for name in ("found.json", "again.json"):
        (base / name).write_text(json.dumps(found))
    return base


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
@pytest.mark.parametrize("name", COMMANDS)
def test_signal__leaves_all_or_nothing_and_no_traceback(
    name: str,
    twice: bool,
    inputs: Path,
    few_data: Path,
    tmp_path: Path,
    command: Callable,
    writes: Writes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(inputs)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    before = {number: signal.getsignal(number) for number in CODES}
    line = COMMANDS[name].replace("DATA", str(few_data)).split()

    def run(into: str) -> Any:
        writes.calls = 0
        (tmp_path / into).mkdir(exist_ok=True)
        return command(*(str(tmp_path / into / "out") if word == "OUT" else word for word in line))

    try:
        assert run("whole").code == 0
        n_calls, whole = writes.calls, sorted(tree(tmp_path / "whole"))
        assert n_calls >= 2
        if twice:
            _send_when_removing(monkeypatch)
        for at, number in zip(
            (1, n_calls // 2 + 1, max(2, 3 * n_calls // 4)), CODES, strict=True
        ):  # threads write, too
            for each in CODES:  # of which nohup ignores one, and the background another
                signal.signal(each, signal.SIG_DFL)
            writes.at, writes.number = at, number
            ended = run(f"stopped{at}")
            assert ended.code in ([CODES[number]] if not twice else CODES.values()), ended
            assert ended.err.splitlines()[-1].startswith("INTERRUPTED - stopped by "), ended
            assert "Traceback" not in ended.err
            left = sorted(tree(tmp_path / f"stopped{at}"))
            assert left in ([], whole)
            assert left or list((tmp_path / f"stopped{at}").iterdir()) == []
            assert list(temporary.iterdir()) == []
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _send_when_removing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a second signal come each time when something is removed, once it has begun."""
    removed = shutil.rmtree
    seen: set[str] = set()

    def remove(path: Any, *words: Any, **more: Any) -> None:
        if str(path) not in seen:
            seen.add(str(path))
            os.kill(os.getpid(), signal.SIGTERM)
        removed(path, *words, **more)

    monkeypatch.setattr(shutil, "rmtree", remove)
