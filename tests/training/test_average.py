"""Runs of several seeds as one detector: what is scored, chosen, written and refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from manifests import unstate

from detect_transfer import predict
from detect_transfer.core.errors import InputError
from detect_transfer.models import load_weights, save_weights
from detect_transfer.workflows.average import average_runs
from detect_transfer.workflows.evaluate_weights import evaluate_run
from detect_transfer.workflows.resume import read_state
from detect_transfer.workflows.run_folder import RunFolder


@pytest.fixture
def runs(finished: Path, tmp_path: Path) -> list[Path]:
    """A finished run, and copies of it whose weights are another mixture of them and of noise."""
    folders = [Path(shutil.copytree(finished, tmp_path / f"seed{i}")) for i in range(3)]
    for i, folder in enumerate(folders[1:], start=1):
        torch.manual_seed(i)
        best = load_weights(RunFolder(folder).best)
        noisy = {
            name: t + 0.05 * t.std() * torch.randn_like(t) if t.is_floating_point() and t.numel() > 1 else t
            for name, t in best.tensors.items()
        }
        save_weights(RunFolder(folder).best, noisy, best.metadata)
        unstate(folder, "weights/best.safetensors")
    return folders


def test_average__is_the_best_of_runs_and_their_means_and_is_used_like_a_run(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "averaged"
    lines: list[str] = []
    made = average_runs(runs, out, device="cpu", on_scored=lines.append)
    record = json.loads((out / "average.json").read_text())
    aps = {tuple(row["runs"]): row["AP"] for row in record["candidates"]}
    assert len(lines) == len(aps) == record["selection"]["candidates"]
    assert {("seed0",), ("seed1",), ("seed2",)} < set(aps)
    assert any(len(names) == 3 for names in aps), "the mean of all"
    own = json.loads((runs[0] / "metrics.json").read_text())["AP"]
    assert aps["seed0",] == pytest.approx(own, abs=1e-6), "a run scores what it did"
    assert made.scores.metrics["AP"] == pytest.approx(max(aps.values()), abs=1e-6)
    states = [load_weights(RunFolder(tmp_path / name).best).tensors for name in made.runs]
    stored = load_weights(RunFolder(out).best)
    for name, tensor in stored.tensors.items():
        mean = torch.stack([state[name].double() for state in states]).mean(dim=0)
        assert torch.allclose(tensor.double(), mean, atol=1e-5), name
    assert "optimism" in record["selection"]
    assert evaluate_run(out, tmp_path / "again").metrics["AP"] == pytest.approx(made.scores.metrics["AP"], abs=1e-6)
    config = RunFolder(out).read_config()
    with pytest.raises(InputError, match=r"RESUME_NOTHING .*an average of runs; resume one of those"):
        read_state(RunFolder(out), config)
    images = Path(config.data.path or "") / "images" / "val"
    found = predict(out, images, tmp_path / "predicted", device="cpu", draw=False)
    assert found.rows["score"].max() == pytest.approx(
        max(row["score"] for row in json.loads((out / "detections.json").read_text())), abs=1e-3
    )


def test_average__of_what_differs_is_refused(runs: list[Path], tmp_path: Path) -> None:
    def refused(message: str, *given: Path) -> None:
        with pytest.raises(InputError, match=message):
            average_runs(given, tmp_path / "out", device="cpu")
        assert not (tmp_path / "out").exists()

    first, second, third = runs
    refused("AVERAGE_RUNS .*two different runs or more", first)
    refused("AVERAGE_RUNS .*two different runs or more", first, first)
    used = json.loads((second / "used_images.json").read_text())
    unstate(second, "used_images.json")
    (second / "used_images.json").write_text(json.dumps({**used, "val": used["val"][1:]}))
    refused(r"AVERAGE_RUNS .*seed1.* its validation images are not those of .*seed0", first, second)
    (second / "used_images.json").write_text(json.dumps({**used, "train": used["val"][:2]}))
    refused("AVERAGE_RUNS .*it was trained on 2 of the validation images", first, second)
    best = load_weights(RunFolder(third).best)
    for what, key in (("input size", "imgsz"), ("category ids", "category_ids")):
        changed = {"imgsz": "64", "category_ids": json.dumps([9, 8, 7, 6][: len(best.class_names)])}[key]
        save_weights(RunFolder(third).best, best.tensors, {**best.metadata, key: changed})
        refused(f"AVERAGE_RUNS .*its {what} are not those of", first, third)
    (third / "manifest.json").unlink()
    refused("the manifest of a finished run", first, third)
