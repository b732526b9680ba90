"""Ours against a plain torchvision loop: same images, weights, epochs, input size, batch and seeds; AP and images/s.

The loop beside ours is what the references of torchvision do, in single precision on one process: the stock builder,
images read and mirrored again in each epoch, SGD with a linear rise in the first epoch and two steps down, all layers
trained on frozen batch norm. Both start from one file: ImageNet features of a backbone, or a checkpoint of an
architecture. Seconds are those of training and, for ours, of the first reading of the images; scoring is outside on
both sides; with `--clock cpu` those that the process computed, which on a busy machine with one thread tell more. One
evaluator, our COCO AP, scores the last network of the loop and the best of ours.

    python tools/benchmarks/against_torchvision.py --data DATA_FOLDER --weights mobilenet_v2_features.safetensors
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_PYRAMID = [1, 2, 3, 5]  # stages of a MobileNet at strides 4, 8, 16 and 32
_REFERENCE = {"lr": 0.02 / 16, "momentum": 0.9, "weight_decay": 1e-4}  # of an image of the batch
_STEPS_DOWN = (16 / 26, 22 / 26)  # of the epochs


def main() -> None:
    """Run every seed on both sides and print the table."""
    options = arguments()
    if options.one:
        if options.clock == "cpu":
            time.monotonic = time.process_time  # what ours and the loop below measure with
        facts = {"ours": ours, "plain": plain}[options.one](options, options.seeds[0])
        (options.out / "facts.json").write_text(json.dumps(facts))
        return
    rows: dict[str, list[dict[str, Any]]] = {"ours": [], "plain": []}
    for seed in options.seeds:
        for side in rows:
            rows[side].append(run_one(options, side, seed))
            result = rows[side][-1]
            print(
                f"{side:6s} seed {seed}  AP {result['AP']:.4f}  AP50 {result['AP50']:.4f}  {result['seconds']:.1f} s  "
                f"{result['images_per_second']:.1f} images/s",
                flush=True,
            )
    mean = {
        side: {key: statistics.mean(row[key] for row in results) for key in ("AP", "images_per_second")}
        for side, results in rows.items()
    }
    ratio = mean["ours"]["images_per_second"] / mean["plain"]["images_per_second"]
    gain = mean["ours"]["AP"] - mean["plain"]["AP"]
    print(f"AP of ours {mean['ours']['AP']:.4f}, of the plain loop {mean['plain']['AP']:.4f}, difference {gain:+.4f}")
    print(f"speed ratio {ratio:.2f} x on {rows['ours'][0]['machine']}")


def arguments() -> argparse.Namespace:
    """Return the words of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data folder that tools/convert.py wrote")
    parser.add_argument("--weights", type=Path, required=True, help="features of the backbone, or a .pth of --arch")
    parser.add_argument("--arch", default="fasterrcnn")
    parser.add_argument("--backbone", default="mobilenet_v2", help="of --arch fasterrcnn: a MobileNet")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--strategy", default="full", help="of ours")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="which seconds are meant")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--one", choices=["ours", "plain"], help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def run_one(options: argparse.Namespace, side: str, seed: int) -> dict[str, Any]:
    """Run one side with one seed in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="against-") as folder:
        given = {k: v for k, v in vars(options).items() if k not in ("one", "out", "seeds")}
        words = [word for key, value in given.items() for word in (f"--{key}", str(value))]
        command = [sys.executable, __file__, *words, "--seeds", str(seed), "--one", side, "--out", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stdout[-2000:] + done.stderr[-2000:])
        return json.loads((Path(folder) / "facts.json").read_text())


def ours(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train with this project."""
    from detect_transfer.config import RunConfig
    from detect_transfer.models.device import machine_name
    from detect_transfer.workflows.train import train

    model = {"family": "torchvision", "arch": options.arch, "weights": str(options.weights)}
    if options.arch == "fasterrcnn":
        model["backbone"] = options.backbone
    config = RunConfig.model_validate(
        {
            "data": {"path": options.data},
            "model": model,
            "transfer": {"strategy": options.strategy},
            "train": {
                "epochs": options.epochs,
                "imgsz": options.imgsz,
                "batch": options.batch,
                "seed": seed,
                "device": options.device,
                "workers": 0 if options.clock == "cpu" else "auto",
            },
            "out": options.out / "run",
        }
    )
    result = train(config, name="benchmark", command="benchmark")
    trained = [row for row in result.progress.history if "train_seconds" in row]
    seconds = sum(row["train_seconds"] for row in trained) + result.loading_seconds
    return {
        "AP": result.metrics["AP"] or 0.0,
        "AP50": result.metrics["AP50"] or 0.0,
        "seconds": seconds,
        "images_per_second": len(trained) * result.train_images / seconds,
        "machine": machine_name(),
    }


def plain(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train the stock network in a plain loop and score it."""
    import numpy as np
    import torch

    from detect_transfer.formats import READERS

    torch.manual_seed(seed)
    table = READERS["data_folder"].read(options.data)
    train, val = table.split_of("train"), table.split_of("val")
    device = torch.device(options.device)
    model = stock_model(options, train.categories.height + 1).train().to(device)
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad],
        lr=_REFERENCE["lr"] * options.batch,
        momentum=_REFERENCE["momentum"],
        weight_decay=_REFERENCE["weight_decay"],
    )
    samples = targets_of(train, options.data)
    rng = np.random.default_rng(seed)
    steps = -(-len(samples) // options.batch)
    began = time.monotonic()
    for epoch in range(options.epochs):
        order = rng.permutation(len(samples))
        for step in range(steps):
            factor = 0.1 ** sum(epoch >= share * options.epochs for share in _STEPS_DOWN)
            rise = min(1.0, (step + 1) / steps) if epoch == 0 else 1.0
            for group in optimizer.param_groups:
                group["lr"] = _REFERENCE["lr"] * options.batch * factor * rise
            chosen = [samples[i] for i in order[step * options.batch : (step + 1) * options.batch]]
            images, targets = zip(
                *(read(path, target, mirror=rng.random() < 0.5) for path, target in chosen), strict=True
            )
            images = [image.to(device) for image in images]
            targets = [{key: tensor.to(device) for key, tensor in target.items()} for target in targets]
            loss = sum(model(images, targets).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    seconds = time.monotonic() - began
    metrics = scored(model.eval(), val, options.data)
    return {
        "AP": metrics["AP"] or 0.0,
        "AP50": metrics["AP50"] or 0.0,
        "seconds": seconds,
        "images_per_second": options.epochs * len(samples) / seconds,
    }


def stock_model(options: argparse.Namespace, rows: int) -> Any:
    """Build the stock network, load what fits by name and shape, and let its floor and cap be those of COCO AP."""
    import torch
    import torchvision
    from safetensors.torch import load_file
    from torchvision.models import detection
    from torchvision.models.detection.backbone_utils import mobilenet_backbone

    sizes = {"min_size": options.imgsz, "max_size": options.imgsz}
    if options.arch == "fasterrcnn":
        backbone = mobilenet_backbone(
            backbone_name=options.backbone,
            weights=None,
            fpn=True,
            trainable_layers=6,
            returned_layers=_PYRAMID,
            norm_layer=torchvision.ops.FrozenBatchNorm2d,
        )
        model = detection.FasterRCNN(backbone, rows, **sizes)
    else:
        model = getattr(detection, options.arch)(weights=None, weights_backbone=None, num_classes=rows, **sizes)
    path = options.weights
    if path is None:
        return model
    given = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
    given = {
        f"backbone.body.{k.removeprefix('features.')}" if k.startswith("features.") else k: t for k, t in given.items()
    }
    state = model.state_dict()
    fits = {k: t.float() for k, t in given.items() if k in state and state[k].shape == t.shape}
    if len(fits) < len(state) / 2:
        sys.exit(f"only {len(fits)} of {len(state)} tensors of {path} fit")
    model.load_state_dict(fits, strict=False)
    model.roi_heads.score_thresh, model.roi_heads.detections_per_img = 0.001, 300
    return model


def targets_of(table: Any, data: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the file and the boxes of each image; ignored ones are left out, as the loop knows none."""
    import polars as pl
    import torch

    label = {c: i + 1 for i, c in enumerate(table.categories["category_id"].sort())}
    out = []
    for image_id, name in table.images.select("image_id", "file_name").iter_rows():
        boxes = table.boxes.filter((pl.col("image_id") == image_id) & ~pl.col("ignore") & ~pl.col("iscrowd"))
        xyxy = torch.tensor(boxes.select("x1", "y1", "x2", "y2").to_numpy(), dtype=torch.float32)
        labels = torch.tensor([label[c] for c in boxes["category_id"]], dtype=torch.int64)
        out.append((data / "images" / name, {"boxes": xyxy, "labels": labels}))
    return out


def read(path: Path, target: dict[str, Any], *, mirror: bool) -> tuple[Any, dict[str, Any]]:
    """Read an image to [0, 1] and mirror it with its boxes."""
    import PIL.Image
    from torchvision.transforms.functional import hflip, to_tensor

    image = to_tensor(PIL.Image.open(path).convert("RGB"))
    if not mirror:
        return image, target
    boxes = target["boxes"].clone()
    boxes[:, [0, 2]] = image.shape[2] - boxes[:, [2, 0]]
    return hflip(image), {**target, "boxes": boxes}


def scored(model: Any, val: Any, data: Path) -> dict[str, float | None]:
    """Predict the validation images and score them with our COCO AP."""
    import polars as pl
    import torch

    from detect_transfer.core.annotations import Detections
    from detect_transfer.evaluation import coco_metrics

    ids = val.categories["category_id"].sort().to_list()
    device = next(model.parameters()).device
    rows = []
    for image_id, name in val.images.select("image_id", "file_name").iter_rows():
        image, _ = read(data / "images" / name, {}, mirror=False)
        with torch.no_grad():
            output = model([image.to(device)])[0]
        for box, score, label in zip(
            output["boxes"].double().tolist(), output["scores"].tolist(), output["labels"].tolist(), strict=True
        ):
            rows.append((image_id, ids[label - 1], *box, min(score, 1.0)))
    names = ("image_id", "category_id", "x1", "y1", "x2", "y2", "score")
    frame = pl.DataFrame(rows, schema=names, orient="row", strict=False)
    return coco_metrics(val, Detections.from_columns(frame) if rows else Detections.empty())


if __name__ == "__main__":
    main()
