"""Train the source task and write the embedded checkpoint with its card.

    python tools/make_embedded.py [--run RUN_DIR]

Trains configs/embedded_source.yaml (signs of the country, from scratch) unless a finished run of it is given, then
writes detect_transfer/assets/quickstart.safetensors in half precision and quickstart.md beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from detect_transfer.config import load_config
from detect_transfer.models import load_weights, save_weights
from detect_transfer.models.checkpoints import EMBEDDED
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.train import train

CONFIG = Path(__file__).parents[1] / "configs" / "embedded_source.yaml"

CARD = """# Embedded checkpoint `quickstart.safetensors`

A YOLO11n that has learnt the **source task** of the quick start, and nothing else. Made by this project from random
weights and from images that the project draws itself: no photograph, no third-party weight. The architecture is that
of ultralytics (AGPL-3.0); the checkpoint is under the licence of this project, AGPL-3.0-or-later.

| | |
|---|---|
| Made by | `python tools/make_embedded.py` ({version}) |
| Data | {train} training and {val} validation scenes of task `source`, {imgsz} px, seed {seed} |
| Classes | {classes} |
| Training | {epochs} epochs, batch {batch}, {precision}, {seconds} s on {machine} |
| AP on its own validation scenes | {ap:.3f} (AP50 {ap50:.3f}), before half precision |
| Stored as | half precision, {size} bytes, SHA-256 `{sha256}` |

It is good for the quick start and for tests. Photographs of real streets need weights that were trained on photographs.
"""


def main() -> None:
    """Train if needed, then write checkpoint and card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a finished run of configs/embedded_source.yaml")
    run = parser.parse_args().run
    if run is None:
        run = train(load_config(CONFIG), name="embedded_source", command="tools/make_embedded.py").folder
    folder = RunFolder(run)
    config = folder.read_config()
    source = load_weights(folder.best)
    card = {key: source.metadata[key] for key in ("family", "arch", "names", "imgsz")}
    sha256 = save_weights(EMBEDDED, source.tensors, {**card, "licence": "AGPL-3.0-or-later"}, half=True)
    metrics = folder.read_metrics()
    manifest = folder.read_manifest()
    history = folder.read_history()
    drawn = config.data.synthetic
    assert drawn is not None
    text = CARD.format(
        version=f"detect_transfer {manifest['versions']['detect_transfer']}",
        train=drawn.train_images,
        val=drawn.val_images,
        imgsz=config.train.imgsz,
        seed=config.train.seed,
        classes=", ".join(source.class_names),
        epochs=len(history) - 1,
        batch=config.train.batch,
        precision=manifest["precision"],
        seconds=round(sum(row["epoch_seconds"] for row in history)),
        machine=manifest["machine"],
        ap=metrics["AP"],
        ap50=metrics["AP50"],
        size=EMBEDDED.stat().st_size,
        sha256=sha256,
    )
    EMBEDDED.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
