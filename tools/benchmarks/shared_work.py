"""How often one `evaluate` with its page computes overlaps and matches, and how long it takes.

Before a `Case` shared them, overlaps were computed 16 times without images on the page, and 20 times with them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from score_against_pycocotools import generate

from detect_transfer.evaluation import Case, assignment
from detect_transfer.workflows.evaluate import score_all, write_page

MOST_OVERLAPS = 5


def count_calls(names: tuple[str, ...]) -> Counter[str]:
    """Count the calls of functions of `assignment` from now on, in every module that imported them."""
    calls: Counter[str] = Counter()

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **keywords: Any) -> Any:
            calls[name] += 1
            return function(*args, **keywords)

        return call

    for name in names:
        function = getattr(assignment, name)
        for module in list(sys.modules.values()):
            if getattr(module, name, None) is function:
                setattr(module, name, counted(name, function))
    return calls


def main() -> int:
    """Run one evaluation and print the counts; return 1 when overlaps are computed too often."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--detections", type=int, default=5_000)
    args = parser.parse_args()
    table, detections = generate(args.images, args.detections, 10)
    calls = count_calls(("overlap_pairs", "match_in_turn"))
    start = time.perf_counter()
    case = Case(table, detections)
    scores, metrics = score_all(case)
    with tempfile.TemporaryDirectory() as folder:
        write_page(Path(folder) / "report.html", case, scores, facts={}, metrics=metrics)
    seconds = time.perf_counter() - start
    print(
        f"overlaps computed {calls['overlap_pairs']} times, at most {MOST_OVERLAPS}; matched {calls['match_in_turn']}"
    )
    print(f"{args.images} images, {args.detections} detections: {seconds:.2f} s with the page")
    return int(calls["overlap_pairs"] > MOST_OVERLAPS)


if __name__ == "__main__":
    sys.exit(main())
