"""Whether memory grows from epoch to epoch: the slope of what the process holds over 50 epochs of a tiny training.

    python tools/benchmarks/epoch_memory.py [EPOCHS]

Drawn scenes of 64 px, in one process. The first ten epochs are left out: allocators and caches fill in them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]

from detect_transfer.config import make_config
from detect_transfer.workflows.train import train
from detect_transfer.workflows.watch import Watch

WARM_UP = 10


def main() -> None:
    """Train, and print the slope with its standard error."""
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    process = psutil.Process()
    held: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(
            {
                "data": {"synthetic": {"train_images": 8, "val_images": 4, "size": 64}},
                "model": {"weights": "embedded"},
                "transfer": {"strategy": "full", "class_map": "none"},
                "train": {"epochs": epochs, "imgsz": 64, "batch": 4, "device": "cpu", "workers": 0},
                "out": str(Path(folder) / "run"),
            }
        )

        def on_epoch(row: dict[str, Any]) -> None:
            if "mix" not in row:  # averages of weights come after the epochs
                held.append(process.memory_info().rss / 2**20)

        watch = Watch(on_epoch=on_epoch)
        train(config, name="memory", command="epoch_memory.py", watch=watch)
    mib = np.array(held[WARM_UP:])
    (slope, _), covariance = np.polyfit(np.arange(len(mib)), mib, 1, cov=True)
    print(f"{len(held)} epochs: {mib[0]:.0f} MiB after {WARM_UP}, {mib[-1]:.0f} MiB at the end")
    print(f"slope {slope:+.3f} MiB an epoch, standard error {covariance[0, 0] ** 0.5:.3f}")


if __name__ == "__main__":
    main()
