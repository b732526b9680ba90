"""Whether everything works on this GPU, and how fast it is beside stock ultralytics and a plain torchvision loop.

One command without data or network: it draws its scenes and starts from the embedded checkpoint, or from scratch. Every
line is a process of its own, so that its peak memory is its own and a failure ends no other. Images/s are those of
the training epochs; AP is COCO's on the drawn validation scenes; the peers start from scratch, as `scratch` of ours.

    python tools/benchmarks/gpu_check.py [--out gpu_check.json]     at most ten minutes; without a GPU it says so
    python tools/benchmarks/gpu_check.py --device cpu --small       the same lines on a processor, a few images
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SOURCE = {"weights": "embedded"}
SCRATCH = {"weights": "scratch", "arch": "yolo11n"}
REGIONS = {"family": "torchvision", "arch": "fasterrcnn_mobilenet_v3_large_320_fpn", "weights": "scratch"}
HEAD = {"phases": [{"epochs": 3, "train": ["head"], "cache_features": True}], "interpolate": "off"}
FULL = {"strategy": "full", "interpolate": "off"}
TRAININGS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {  # model, transfer, precision
    **{f"yolo11n {p}": (SOURCE, FULL, p) for p in ("bf16", "fp16", "fp32")},
    "yolo11n head, features cached": (SOURCE, HEAD, "auto"),
    "yolo11n scratch": (SCRATCH, FULL, "auto"),
    **{f"Faster R-CNN {p}": (REGIONS, FULL, p) for p in ("bf16", "fp16", "fp32")},
    "Faster R-CNN head, features cached": (REGIONS, HEAD, "auto"),
}
PEERS = ("ultralytics scratch", "torchvision scratch")
OTHERS = ("stop and resume", "predict and evaluate", "export to ONNX", "two processes")
TIMEOUT = 150  # seconds a line


def main() -> None:
    """Run every line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="a few small images")
    parser.add_argument("--only", nargs="+", help="names of lines")
    parser.add_argument("--out", type=Path, help="a JSON file for the table")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()

    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print(f"no GPU: torch {torch.__version__} sees none here; --device cpu --small runs the same lines without one")
        return
    if options.one:
        options.data, options.run = options.scratch.parent / "data", options.scratch / "run"
        (options.scratch / "row.json").write_text(json.dumps(run_here(options)))
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        draw(Path(folder) / "data", small=options.small)
        for name in options.only or (*TRAININGS, *PEERS, *OTHERS):
            rows.append(run_one(name, options, Path(folder)))
            print(line_of(rows[-1]), flush=True)
    from detect_transfer.models.device import machine_name

    print(f"\n{machine_name()}; torch {torch.__version__}; {sum(not row['ok'] for row in rows)} of {len(rows)} failed")
    if options.out:
        options.out.write_text(json.dumps({"machine": machine_name(), "torch": torch.__version__, "rows": rows}))
    sys.exit(any(not row["ok"] for row in rows))


def line_of(row: dict[str, Any]) -> str:
    """Return a line of a Markdown table."""
    cells = (
        f"{row['images_per_second']:.0f} images/s" if row.get("images_per_second") else "",
        f"AP {row['AP']:.3f}" if row.get("AP") is not None else "",
        f"{row['peak_memory_mb']} MB" if row.get("peak_memory_mb") else "",
        f"{row['seconds']:.0f} s",
        "ok" if row["ok"] else "FAILED",
        str(row.get("words", "")),
    )
    return f"| {row['name']} | {' | '.join(cells)} |"


def draw(folder: Path, *, small: bool) -> None:
    """Draw the scenes as a data folder."""
    from detect_transfer import convert
    from detect_transfer.synthetic.dataset import write_scenes

    counts = {"train": 24, "val": 18} if small else {"train": 512, "val": 64}
    table = write_scenes(folder.with_name("scenes"), "target", counts=counts, seed=0)
    convert(table, folder)


def run_one(name: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run a line in a process of its own."""
    scratch = folder / name.replace(" ", "_").replace(",", "")
    scratch.mkdir()
    command = [sys.executable, __file__, "--device", options.device, "--one", name, "--scratch", str(scratch)]
    began = time.monotonic()
    row: dict[str, Any] = {"name": name, "ok": False}
    try:
        words = ["--small"] if options.small else []
        done = subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=TIMEOUT)
        lines = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()
        row |= json.loads((scratch / "row.json").read_text()) if done.returncode == 0 else {"words": lines[-1]}
    except subprocess.TimeoutExpired:
        row["words"] = f"not done after {TIMEOUT} s"
    return {**row, "seconds": time.monotonic() - began}


def run_here(options: argparse.Namespace) -> dict[str, Any]:
    """Run a line in this process."""
    from detect_transfer.models.device import choose_device, peak_memory_mb

    if options.one in TRAININGS:
        facts = facts_of(train_once(options, *TRAININGS[options.one]))
    else:
        functions = (stock_ultralytics, plain_torchvision, stop_and_resume, predict_and_evaluate, export, two_processes)
        facts = dict(zip((*PEERS, *OTHERS), functions, strict=True))[options.one](options)
    return {"ok": True, "peak_memory_mb": peak_memory_mb(choose_device(options.device)), **facts}


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return what all trainings have in common."""
    size = {"epochs": 3, "imgsz": 96, "batch": 8} if options.small else {"epochs": 3, "imgsz": 640, "batch": 32}
    return {**size, "device": options.device, "seed": 0}


def config_of(options: argparse.Namespace, model: dict[str, Any], transfer: dict[str, Any], precision: str) -> Any:
    """Return a config of ours."""
    from detect_transfer.config import RunConfig

    words = {
        "data": {"path": options.data},
        "model": model,
        "transfer": {"class_map": "none", **transfer},
        "train": {**settings_of(options), "precision": precision},
        "mirror": {"images": False},
        "out": options.run,
    }
    return RunConfig.model_validate(words)


def train_once(options: argparse.Namespace, model: dict[str, Any], transfer: dict[str, Any], precision: str) -> Any:
    """Train with this project."""
    from detect_transfer.workflows.train import train

    return train(config_of(options, model, transfer, precision), name="gpu_check", command="gpu_check")


def facts_of(result: Any) -> dict[str, Any]:
    """Return the speed of the last epoch and the AP of the best."""
    trained = [row for row in result.progress.history if "images_per_second" in row]
    return {"images_per_second": trained[-1]["images_per_second"], "AP": result.metrics["AP"]}


def stock_ultralytics(options: argparse.Namespace) -> dict[str, Any]:
    """Train stock YOLO11n from scratch by its defaults."""
    os.environ.update(YOLO_CONFIG_DIR=str(options.scratch), YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false")
    import ultralytics

    settings = settings_of(options)
    settings["device"] = "0" if options.device == "cuda" else options.device
    seconds: list[float] = []
    model = ultralytics.YOLO("yolo11n.yaml")
    model.add_callback("on_train_epoch_start", lambda _: seconds.append(-time.monotonic()))
    model.add_callback("on_train_epoch_end", lambda _: seconds.append(seconds.pop() + time.monotonic()))
    model.train(
        data=str(options.data / "data.yaml"),
        project=str(options.scratch),
        plots=False,
        verbose=False,
        amp=False,
        **settings,
    )
    images = len(list((options.data / "images" / "train").iterdir()))
    words = f"ultralytics {ultralytics.__version__}, fp32: its check of mixed precision would ask the network"
    return {"images_per_second": images / seconds[-1], "words": words}


def plain_torchvision(options: argparse.Namespace) -> dict[str, Any]:
    """Train the stock Faster R-CNN in a plain loop, in single precision."""
    from against_torchvision import plain

    given = {"data": options.data, "weights": None, "arch": REGIONS["arch"], "strategy": "full"}
    facts = plain(SimpleNamespace(**given, **settings_of(options)), 0)  # type: ignore[arg-type]
    return {"images_per_second": facts["images_per_second"], "AP": facts["AP"]}


def stop_and_resume(options: argparse.Namespace) -> dict[str, Any]:
    """Train in one go, and again with a stop in the middle: both end with the same AP, on a GPU nearly."""
    import signal

    from detect_transfer.training.context import Interrupted
    from detect_transfer.workflows.resume import resume_config
    from detect_transfer.workflows.train import train
    from detect_transfer.workflows.watch import Watch

    whole = train_once(options, SOURCE, FULL, "fp32")
    options.run = options.scratch / "stopped"
    watch = Watch(on_step=lambda epoch, *_: setattr(watch.stop, "signal", signal.SIGTERM if epoch == 2 else None))
    with contextlib.suppress(Interrupted):
        train(config_of(options, SOURCE, FULL, "fp32"), name="gpu_check", command="gpu_check", watch=watch)
    result = train(resume_config(options.run, []), name="gpu_check", command="gpu_check", resume=True)
    apart = abs((whole.metrics["AP"] or 0.0) - (result.metrics["AP"] or 0.0))
    return {**facts_of(result), "ok": apart < 0.02, "words": f"AP differs by {apart:.4f} from the run in one go"}


def predict_and_evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Predict the validation images with a run's weights, and score them again."""
    from detect_transfer import evaluate, predict

    result = train_once(options, SOURCE, FULL, "auto")
    images = options.data / "images" / "val"
    began = time.monotonic()
    predict(result.folder, images, options.scratch / "predicted", device=options.device)
    speed = len(list(images.iterdir())) / (time.monotonic() - began)
    truth, detections = options.data / "annotations" / "instances_val.json", result.folder / "detections.json"
    ap = evaluate(truth, detections, options.scratch / "scored").metrics["AP"]
    same = abs((ap or 0.0) - (result.metrics["AP"] or 0.0)) < 1e-9
    return {"images_per_second": speed, "AP": ap, "ok": same, "words": "prediction with drawings"}


def export(options: argparse.Namespace) -> dict[str, Any]:
    """Export a run to ONNX; the gate scores it with its own runtime."""
    result = train_once(options, SOURCE, FULL, "auto")
    command = [sys.executable, "-m", "detect_transfer", "export", str(result.folder), "--to", "onnx"]
    done = subprocess.run(
        [*command, "--out", str(options.scratch / "exported")], capture_output=True, text=True, check=False
    )
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return {"AP": result.metrics["AP"], "ok": done.returncode == 0, "words": lines[-1] if lines else "no word"}


def two_processes(options: argparse.Namespace) -> dict[str, Any]:
    """Train by torchrun in two processes, where there are two devices (or processors alone)."""
    import torch

    if options.device == "cuda" and torch.cuda.device_count() < 2:
        return {"words": "left out: one device"}
    from detect_transfer.config import dump_config
    from detect_transfer.core.io import read_json
    from detect_transfer.workflows.run_folder import RunFolder

    path = options.scratch / "config.yaml"
    path.write_text(dump_config(config_of(options, SOURCE, FULL, "auto")))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "-m", "detect_transfer", "train", str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"ok": False, "words": (done.stderr.strip() or "no word").splitlines()[-1]}
    folder = RunFolder(options.run)
    speeds = [row["images_per_second"] for row in folder.read_history() if row.get("images_per_second")]
    return {"images_per_second": speeds[-1], "AP": read_json(folder.metrics)["AP"], "peak_memory_mb": None}


if __name__ == "__main__":
    main()
