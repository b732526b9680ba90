"""What the embedded checkpoint is worth: the quick start from it, and the same budget from scratch.

    python tools/benchmarks/quick_start_gain.py [key=value ...]

Prints the AP of both, their ratio and the seconds. The scratch run has the same scenes, epochs, batch and augmentation,
and the rate of the `scratch` strategy.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from detect_transfer.config import load_config
from detect_transfer.models.device import machine_name
from detect_transfer.workflows.run_config import QUICK_START
from detect_transfer.workflows.train import train


def main() -> None:
    """Run both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="key=value words for the config of both")
    overrides = parser.parse_args().overrides
    ap = {}
    for side, words in (("transfer", []), ("scratch", ["model.weights=scratch", "transfer.strategy=scratch"])):
        with tempfile.TemporaryDirectory() as folder:
            config = load_config(QUICK_START, [*words, f"out={Path(folder) / 'run'}", *overrides])
            began = time.monotonic()
            result = train(config, name=side, command="benchmark")
            seconds = time.monotonic() - began
        ap[side] = result.metrics["AP"] or 0.0
        curve = " ".join(f"{row['AP']:.2f}" for row in result.progress.history)
        print(f"{side:9s} AP {ap[side]:.3f}  {seconds:.0f} s   by epoch: {curve}", flush=True)
    print(f"ratio {ap['transfer'] / max(ap['scratch'], 1e-9):.1f} x   machine: {machine_name()}")


if __name__ == "__main__":
    main()
