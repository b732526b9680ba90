"""The statistics of a study hold what they say, in a short form of the script that shows it."""

import sys

import numpy as np
import pytest
from paths import BENCHMARKS

sys.path.append(str(BENCHMARKS))
import study_calibration

PARTS = {part.__name__: part for part in study_calibration.PARTS}


@pytest.mark.parametrize(
    ("name", "trials"),
    [("curves", 16), ("two_curves", 24), ("verdicts", 16), ("times", 200), ("trials_and_parts", 60)],
)
def test_calibration__every_share_lies_in_its_range(name, trials) -> None:
    rows = list(PARTS[name](np.random.default_rng(0), trials))
    assert rows
    assert not [row for row in rows if not row.holds]
