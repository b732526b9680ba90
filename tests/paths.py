"""Where the checkout, its sample data sets and the real data beside it lie."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATASETS = ROOT / "datasets"
BENCHMARKS = ROOT / "tools" / "benchmarks"
SHARED = ROOT.parent / "shared"  # real data and weights; tests that need them are skipped without
