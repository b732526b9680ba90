"""Whether ultralytics, LibreYOLO and rfdetr read a folder of `convert --to coco,yolo` as it is, and what they score.

Each reads the validation split by its own loader; a detector of ours looks at the pixels that it hands to a network,
and its own evaluator scores what is detected (ultralytics runs our exported weights). So images, boxes, classes and ids
are right only if all of them meet: the counts must be ours, and AP within 0.03 of ours. Each also trains an epoch from
random weights at 64 px, but for rfdetr, whose smallest network is too large for that. Missing ones are installed into
environments of their own, which see the packages of this one; the folder is drawn, or given.

    python tools/benchmarks/other_trainers.py --environments build/trainers
"""

from __future__ import annotations

import argparse
import json
import os
import site
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from detect_transfer.config import Synthetic
from detect_transfer.core.image_sources import SourceImage
from detect_transfer.data.load import read_ground_truth
from detect_transfer.data.run_data import draw_data
from detect_transfer.models.stream import StreamOptions, detect_stream
from detect_transfer.workflows.evaluate_weights import score_table
from detect_transfer.workflows.trained_detector import TrainedDetector, load_trained

ROOT = Path(__file__).resolve().parents[2]
SIDE = 320
CLOSE = 0.03
Facts = dict[str, Any]  # images, boxes, AP


def of_ours(data: Path, weights: str) -> Facts:
    """Return the counts of the validation split, and the AP of the detector there."""
    table = read_ground_truth(data, split="val").table
    scored = score_table(load_trained(weights, imgsz=SIDE), table)
    return {"images": len(table.images), "boxes": len(table.boxes), "AP": scored.scores.metrics["AP"]}


def of_ultralytics(data: Path, weights: str) -> Facts:
    """Validate the exported weights, and train an epoch."""
    from ultralytics import YOLO
    from ultralytics.data.utils import check_det_dataset

    from detect_transfer import export

    written = export(weights, data.parent / "exported", to="ultralytics-pt", gate=False)[0].path
    yaml, quiet = str(data / "data.yaml"), {"verbose": False, "plots": False, "device": "cpu", "workers": 0}
    scored = YOLO(written).val(data=yaml, imgsz=SIDE, project=str(data.parent / "scored"), **quiet)
    YOLO("yolo11n.yaml").train(data=yaml, imgsz=64, epochs=1, batch=8, project=str(data.parent / "trained"), **quiet)
    files = sorted(Path(check_det_dataset(yaml)["val"]).glob("*.*"))
    return {"images": len(files), "boxes": int(scored.nt_per_class.sum()), "AP": float(scored.box.map)}


def of_libreyolo(data: Path, weights: str) -> Facts:
    """Validate by its loader and its evaluator, and train an epoch."""
    import torch
    from libreyolo import LibreYOLO9
    from libreyolo.validation import DetectionValidator, ValidationConfig

    detector = load_trained(weights, imgsz=SIDE)

    class Validator(DetectionValidator):
        """Ours in the place of its network."""

        def _inference(self, images: Any) -> Any:
            return images

        def _update_batch_metrics(self, predictions: Any, images: Any, targets: Any) -> None:
            pass

        def _postprocess_predictions(self, preds: Any, batch: Any) -> list[dict[str, Any]]:
            rows = [detected(detector, image, size_hw) for image, size_hw in zip(preds, batch[2], strict=True)]
            return [dict(zip(("boxes", "scores", "classes"), map(torch.from_numpy, row), strict=True)) for row in rows]

    names = json.loads((data / "annotations" / "instances_val.json").read_text())["categories"]
    model = LibreYOLO9(None, "t", nb_classes=len(names), device="cpu")
    config = ValidationConfig(
        *(str(data / "data.yaml"),),
        **{"imgsz": SIDE, "device": "cpu", "num_workers": 0, "verbose": False, "save_dir": str(data.parent / "libre")},
    )
    validator = Validator(model, config)
    scored = validator.run()
    model.train(
        *(str(data / "data.yaml"),),
        **{"epochs": 1, "batch": 8, "imgsz": 64, "device": "cpu", "workers": 0, "project": str(data.parent / "libre")},
    )
    truth = validator.coco_evaluator.coco_gt
    return {"images": validator.seen, "boxes": len(truth.anns), "AP": float(scored["metrics/mAP50-95"])}


def of_rfdetr(data: Path, weights: str) -> Facts:
    """Read and score by its data set and its evaluator."""
    import torch
    from rfdetr.datasets import build_dataset
    from rfdetr.evaluation.coco_eval import CocoEvaluator

    detector = load_trained(weights, imgsz=SIDE)
    common = {"dataset_dir": str(data), "dataset_file": "yolo", "square_resize_div_64": True, "multi_scale": False}
    network = {"segmentation_head": False, "expanded_scales": False, "patch_size": 16, "num_windows": 2}
    dataset: Any = build_dataset("val", SimpleNamespace(**common, **network), SIDE)
    evaluator = CocoEvaluator(dataset.coco, ["bbox"])
    mean, std = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    n_boxes = 0
    for image, target in dataset:
        n_boxes += len(target["boxes"])
        boxes, scores, labels = detected(detector, image * std + mean, target["orig_size"].tolist())
        row = {"boxes": torch.from_numpy(boxes), "scores": torch.from_numpy(scores), "labels": torch.from_numpy(labels)}
        evaluator.update({int(target["image_id"]): row})
    evaluator.synchronize_between_processes()
    evaluator.accumulate()
    evaluator.summarize()
    return {"images": len(dataset), "boxes": n_boxes, "AP": float(evaluator.coco_eval["bbox"].stats[0])}


def detected(detector: TrainedDetector, image: Any, size_hw: Any) -> tuple[Any, Any, Any]:
    """Return xyxy in pixels of the original image, scores and class indices for a tensor (3, H, W) of a loader."""
    pixels = image.cpu().numpy().transpose(1, 2, 0)
    pixels = pixels * 255 if pixels.max() <= 1.5 else pixels
    rgb = np.ascontiguousarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    stream = StreamOptions(detector.imgsz, detector.settings)
    result = next(detect_stream(detector.detector, [SourceImage("", lambda: rgb)], stream, threaded=False)).prediction
    scale = np.array([size_hw[1], size_hw[0]] * 2) / np.array([pixels.shape[1], pixels.shape[0]] * 2)
    return (result.xyxy * scale).astype(np.float32), result.scores.astype(np.float32), result.labels.astype(np.int64)


TRAINERS: dict[str, Callable[[Path, str], Facts]] = {
    "ultralytics": of_ultralytics,
    "libreyolo": of_libreyolo,
    "rfdetr": of_rfdetr,
}
PACKAGES = {"libreyolo": ["libreyolo"], "rfdetr": ["rfdetr", "faster-coco-eval"]}


def python_of(name: str, environments: Path) -> Path:
    """Return the interpreter of an environment with a trainer; make it where it is not there."""
    folder = environments / name
    if not folder.is_dir():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        packages = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
        (packages / "base.pth").write_text("\n".join([*site.getsitepackages(), ""]), encoding="utf-8")
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
    return folder / "bin" / "python"


def main() -> int:
    """Print what each reads and scores; return 1 where it is not what we do."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=Path, default=Path("build/trainers"))
    parser.add_argument("--data", type=Path, help="a data folder; without it scenes are drawn")
    parser.add_argument("--weights", default="embedded", help="of its classes, in the order of its class numbers")
    parser.add_argument("--only", choices=list(TRAINERS))
    parser.add_argument("--inside", choices=list(TRAINERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        facts = TRAINERS[options.inside](options.data, options.weights)
        print(f"\n{json.dumps(facts)}")
        return 0
    with tempfile.TemporaryDirectory(prefix="trainers-") as scratch:
        data = options.data or Path(scratch) / "data"
        if options.data is None:
            draw_data(Synthetic(task="source", train_images=16, val_images=40, size=SIDE), data, seed=0)
        ours = of_ours(data, options.weights)
        print(f"{'ours':12s} {ours['images']} images, {ours['boxes']} boxes, AP {ours['AP']:.3f}", flush=True)
        is_good = True
        for name in [options.only] if options.only else TRAINERS:
            python = sys.executable if name == "ultralytics" else python_of(name, options.environments.resolve())
            words = [__file__, "--inside", name, "--data", str(data.resolve()), "--weights", options.weights]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run([python, *words], cwd=scratch, env=environment, capture_output=True, text=True)
            if done.returncode:
                print(f"{name:12s} {done.stderr[-2000:]}")
                is_good = False
                continue
            facts = json.loads(done.stdout.splitlines()[-1])
            print(f"{name:12s} {facts['images']} images, {facts['boxes']} boxes, AP {facts['AP']:.3f}", flush=True)
            same = [facts[key] == ours[key] for key in ("images", "boxes")]
            is_good &= all(same) and abs(facts["AP"] - ours["AP"]) <= CLOSE
    return 0 if is_good else 1


if __name__ == "__main__":
    raise SystemExit(main())
