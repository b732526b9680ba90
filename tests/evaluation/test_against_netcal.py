"""D-ECE and the temperature against netcal, the code of the paper, on generated detections and cases."""

import numpy as np
import polars as pl
import pytest
from netcal.metrics import ECE
from netcal.scaling import TemperatureScaling

from detect_transfer.core.annotations import XYXY, Detections
from detect_transfer.core.boxes import xyxy_to_xywh
from detect_transfer.evaluation import METRICS, Case, apply_temperature, fit_temperature, match_case
from detect_transfer.evaluation.metrics.calibration import position_error, reliability


def scored(seed):
    """Scores (D,), tp (D,) that do not quite follow them, and places (D, 4), some beyond the image."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 3000))
    score = rng.beta(*rng.uniform(0.3, 3, 2), n)
    position = rng.uniform(-0.1, 1.1, (4, 4))[rng.integers(0, 4, n)] + rng.uniform(-0.1, 0.1, (n, 4))
    return score, rng.random(n) < score ** rng.uniform(0.3, 3), position


def test_reliability__equals_netcal():
    for seed in range(300):
        score, tp, _ = scored(seed)
        expected = ECE(bins=10, detection=True).measure(score, tp.astype(int))
        assert reliability(score, tp).error == pytest.approx(expected, abs=1e-12), seed


def test_position_error__equals_netcal_over_the_detections_in_full_bins():
    compared = 0
    for seed in range(100):
        score, tp, position = scored(seed)
        expected = ECE(bins=5, detection=True, sample_threshold=8).measure(
            np.column_stack([score, position]), tp.astype(int)
        )
        error, share = position_error(score, tp, position)
        # netcal lets detections in bins with fewer than 8 count as well calibrated, we leave them out
        assert (error or 0.0) * share == pytest.approx(expected, abs=1e-12), seed
        compared += 0 < share < 1
    assert compared > 50


@pytest.mark.filterwarnings("ignore:independent is deprecated:DeprecationWarning:pyro")
def test_fit_temperature__equals_netcal():
    for seed in range(60):
        score, tp, _ = scored(seed)
        theirs = TemperatureScaling(detection=True)
        theirs.fit(score, tp.astype(int))
        ours, expected = fit_temperature(score, tp), 1 / float(theirs.temperature.item())
        if 0.05 < expected < 20:  # the range that we look in
            assert log_loss(score, tp, ours) <= log_loss(score, tp, expected) + 1e-12, seed
            assert ours == pytest.approx(expected, rel=1e-3), seed  # the loss is flat about its least


def log_loss(score, tp, temperature):
    fixed = np.clip(apply_temperature(score, temperature), 1e-300, None)
    return -np.log(np.where(tp, fixed, 1 - fixed)).mean()


def test_calibration__equals_netcal(detailed):
    """Of the detections that count, all classes together, with centre and size as shares of the image."""
    whole = by_positions = 0
    for seed in range(200):
        table, detections = detailed(seed)
        # off the borders of the bins: netcal's .3 and .6 are .30000000000000004 and .6000000000000001
        apart = {"score": np.random.default_rng(seed).random(detections.rows.height), "x1": pl.col("x1") - 0.01}
        case = Case(table, Detections(detections.rows.with_columns(**apart, y1=pl.col("y1") - 0.01)))
        values = METRICS["calibration"](case).values
        rows = match_case(case).detections.filter((pl.col("status") != "ignored") & (pl.col("score") >= 0.3))
        if not case.gt.is_object.any() or rows.height < 10:
            assert values["D_ECE"] is None, seed
            continue
        tp = (rows["status"] == "tp").to_numpy().astype(int)
        expected = ECE(bins=10, detection=True).measure(rows["score"].to_numpy(), tp)
        assert values["D_ECE"] == pytest.approx(expected, abs=1e-12), seed
        x, y, width, height = xyxy_to_xywh(rows.select(XYXY).to_numpy()).T / np.array([[200], [180], [200], [180]])
        features = np.column_stack([rows["score"], x + width / 2, y + height / 2, width, height])
        expected = ECE(bins=5, detection=True, sample_threshold=8).measure(features, tp)
        by_position = (values["D_ECE_by_position"] or 0.0) * values["D_ECE_by_position_share_of_detections"]
        assert by_position == pytest.approx(expected, abs=1e-12), seed
        whole, by_positions = whole + 1, by_positions + (by_position > 0)
    assert whole > 100, whole
    assert by_positions > 5, by_positions
