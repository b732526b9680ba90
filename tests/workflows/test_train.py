"""A whole run from the command line on drawn scenes: the folder it leaves, what it touches, what it refuses."""

import hashlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from narrow import narrow_torchvision
from paths import ROOT

AUDIT = """
import sys
seen = []
def hook(event, args):
    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto', 'os.system', 'subprocess.Popen'):
        seen.append((event, str(args)))
    if event == 'socket.__new__' and args[1] in (2, 10):  # of the network
        seen.append((event, str(args)))
    if event == 'open' and isinstance(args[1], str) and any(c in args[1] for c in 'wax+'):
        path = str(args[0])
        if not path.startswith((ALLOWED, '/dev/', '/proc/', TEMP)):
            seen.append((event, path))
sys.addaudithook(hook)
from detect_transfer.cli import main
try:
    main(sys.argv[1:])
except SystemExit as leave:
    code = leave.code
print('AUDIT', seen)
sys.exit(code)
"""


def words(data: Path, out: Path, *more: str, epochs: int = 1) -> list[str]:
    return [
        "train", f"{ROOT / 'configs' / 'quickstart.yaml'}", f"data.path={data}", "data.synthetic=null", f"out={out}",
        f"train.epochs={epochs}", "train.imgsz=96", "train.batch=8", *more,
    ]  # fmt: skip


def tree_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder)} {path.stat().st_size}".encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def finished(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A run by the command line with everything that it opens or asks of the network noted."""
    base = tmp_path_factory.mktemp("finished")
    home, temp = base / "home", base / "tmp"
    home.mkdir()
    temp.mkdir()
    home.chmod(0o555)
    before = tree_hash(tiny_data)
    code = AUDIT.replace("ALLOWED", repr(str(base))).replace("TEMP", repr(str(temp)))
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(temp)}
    for name in ("DETECT_TRANSFER_WEIGHTS", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR"):  # set by what ran before
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, *words(tiny_data, base / "run")],
        capture_output=True, text=True, cwd=base, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert tree_hash(tiny_data) == before
    assert not list(home.iterdir())
    assert not list(temp.iterdir()), "what is temporary is removed"
    return base / "run", done.stdout, base.as_posix()


def test_run__opens_no_socket_starts_no_program_and_writes_nowhere_else(finished: tuple[Path, str, str]) -> None:
    assert finished[1].splitlines()[-1] == "AUDIT []"


def test_run_folder__holds_what_is_promised(finished: tuple[Path, str, str], tiny_data: Path) -> None:
    run = finished[0]
    expected = {
        "config.yaml", "manifest.json", "log.txt", "metrics.jsonl", "weights", "transfer.json", "detections.json",
        "findings.json", "metrics.json", "operating_points.json", "report.html", "images", "used_images.json",
    }  # fmt: skip
    assert {p.name for p in run.iterdir()} == expected
    assert {p.name for p in (run / "weights").iterdir()} == {"best.safetensors", "last.safetensors", "state.pt"}
    manifest = json.loads((run / "manifest.json").read_text())
    for name, facts in manifest["files"].items():
        data = (run / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == facts["sha256"], name
    assert finished[2] not in json.dumps(manifest["files"])
    used = json.loads((run / "used_images.json").read_text())
    splits = {part: json.loads((tiny_data / f"annotations/instances_{part}.json").read_text()) for part in used}
    assert {part: len(hashes) for part, hashes in used.items()} == {p: len(s["images"]) for p, s in splits.items()}
    metrics = json.loads((run / "metrics.json").read_text())
    assert {"AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR1", "AR10", "AR100"} <= metrics.keys()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [(row["epoch"], row.get("share")) for row in rows] == [(0, None), (1, None), (1, 0.25), (1, 0.5), (1, 0.75)]
    assert len([p for p in (run / "images").rglob("*") if p.is_file()]) == 16


def test_transfer__says_what_the_classes_look_like_to_the_source(finished: tuple[Path, str, str]) -> None:
    record = json.loads((finished[0] / "transfer.json").read_text())
    rows = record["class_evidence"]
    assert [row["target"] for row in rows] == [row["target"] for row in record["head_rows"]]
    assert record["class_evidence_made"]["of_images"] == 20
    page = (finished[0] / "report.html").read_text()
    assert "What the classes look like to the source" in page
    assert "the source ran over" in finished[1]


def test_run__prints_the_plan_the_score_and_where_the_report_is(finished: tuple[Path, str, str]) -> None:
    out = finished[1]
    for word in ("strategy full", "stage4", "epoch   0", "(untrained)", "AP ", "report.html"):
        assert word in out


def test_detections__open_in_pycocotools_with_the_same_score(finished: tuple[Path, str, str], tiny_data: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(tiny_data / "annotations" / "instances_val.json"))
    evaluation = COCOeval(truth, truth.loadRes(str(finished[0] / "detections.json")), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    metrics = json.loads((finished[0] / "metrics.json").read_text())
    assert metrics["AP"] == pytest.approx(evaluation.stats[0], abs=1e-9)


def run_tool(name: str, *words: object) -> None:
    """Run a script of `tools/` in this process, as the command line would, to its end without an error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "tools" / name), run_name="__main__")
    assert ended.value.code == 0


def test_evaluate_a_run__gives_its_score_again(finished: tuple[Path, str, str], tmp_path: Path) -> None:
    run_tool("evaluate.py", finished[0], "--out", tmp_path / "again")
    first, second = (json.loads((p / "metrics.json").read_text()) for p in (finished[0], tmp_path / "again"))
    assert second["AP"] == pytest.approx(first["AP"], abs=1e-9)


def test_predict__on_images_writes_boxes_and_drawings(
    finished: tuple[Path, str, str], tiny_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "found"
    run_tool("predict.py", finished[0], tiny_data / "images" / "val", "--out", out)
    listed = json.loads((out / "images.json").read_text())
    assert len(listed) == 18
    assert {row["image_id"] for row in json.loads((out / "detections.json").read_text())} <= {
        row["image_id"] for row in listed
    }
    assert len([p for p in (out / "images").rglob("*") if p.is_file()]) == 18


FASTER_RCNN = ("model.family=torchvision", "model.arch=fasterrcnn_mobilenet_v3_large_320_fpn", "model.weights=scratch")
PHASES = "transfer.phases=[{epochs: 1, train: [head], cache_features: true}, {epochs: 1, train: all}]"
CHANGES = {
    "yolo": ("transfer.strategy=null", PHASES),
    "torchvision": ("transfer.strategy=null", PHASES, *FASTER_RCNN),
    "poisoned": ("train.on_not_finite=roll_back", "train.schedule=constant", "train.warmup=0"),
}
SCRIPT = """
import json, os, pytest, runpy, sys
from dataclasses import replace
from narrow import narrow_torchvision
from detect_transfer.models.yolo.detector import YoloDetector
true_loss, calls = YoloDetector.loss, []
def poisoned(self, outputs, targets, size_hw):
    calls.append(1)
    factor = float('nan') if (os.environ['RANK'], len(calls)) == ('1', 2) else 1.0
    parts = true_loss(self, outputs, targets, size_hw)
    return {name: replace(part, total=part.total * factor) for name, part in parts.items()}
narrow_torchvision(pytest.MonkeyPatch())
program, commands = sys.argv[1:]
for name, words in json.load(open(commands)).items():
    YoloDetector.loss = poisoned if name == 'poisoned' else true_loss
    sys.argv = [program, *words]
    try:
        runpy.run_path(program, run_name='__main__')
    except SystemExit as ended:
        if ended.code:
            raise
"""


@pytest.fixture(scope="module")
def two_processes(few_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs of `CHANGES`, each trained by the two processes of one `torchrun` on the CPU."""
    folder = tmp_path_factory.mktemp("two")
    commands = {
        name: words(few_data, folder / name, "train.device=cpu", *changes)[1:] for name, changes in CHANGES.items()
    }
    (folder / "commands.json").write_text(json.dumps(commands))
    (folder / "several.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(folder / "several.py"), str(ROOT / "tools" / "train.py"), str(folder / "commands.json")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("model", ["yolo", "torchvision"])
@pytest.mark.slow
def test_two_processes__train_one_model_and_score_it_once(
    two_processes: Path, few_data: Path, tmp_path: Path, model: str, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both processes see their half of the images, compute features of their half for both, and write one run folder.

    The scores of the same network are equal, to rounding where those of a random head are nearly tied. Statistics of
    batches are those of a process, so that the losses are near.
    """
    narrow_torchvision(monkeypatch)
    run_tool("train.py", *words(few_data, tmp_path / "one", "train.device=cpu", *CHANGES[model])[1:])
    one, two = (
        [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (tmp_path / "one", two_processes / model)
    )
    n_averages = 3 if model == "yolo" else 0  # from scratch there is no source to mix in
    assert [row["epoch"] for row in two] == [0, 1, 2] + [2] * n_averages
    assert two[0]["AP"] == pytest.approx(one[0]["AP"], abs=5e-3)
    for alone, shared in zip(one[1:3], two[1:3], strict=True):
        assert shared["loss"] == pytest.approx(alone["loss"], rel=0.2)
    metrics = json.loads((two_processes / model / "metrics.json").read_text())
    assert metrics["AP"] == pytest.approx(max(row["AP"] for row in two), abs=1e-6 if model == "yolo" else 1e-5)


@pytest.mark.slow
def test_roll_back__is_done_by_all_processes_where_one_loss_is_not_finite(two_processes: Path) -> None:
    row = json.loads((two_processes / "poisoned" / "metrics.jsonl").read_text().splitlines()[1])
    assert row["lr"]["head"] == pytest.approx(5e-4)
    assert "the loss of another process" in (two_processes / "poisoned" / "log.txt").read_text()


def test_sigterm__keeps_the_last_epoch_and_says_how_to_go_on(tiny_data: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, str(ROOT / "tools" / "train.py"), *words(tiny_data, tmp_path / "run", epochs=500)[1:]
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    state = tmp_path / "run" / "weights" / "state.pt"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, out + err
    assert "--resume" in err
    assert "Traceback" not in err
    assert state.exists()
