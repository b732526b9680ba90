"""What the plan grammar makes of a run: ends of phases, new starts, kept features, the pull, classes that are kept."""

import json
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from watches import stop_after

from detect_transfer.config import Model, Transfer
from detect_transfer.core.errors import InputError
from detect_transfer.models import build_detector, load_weights
from detect_transfer.models.yolo.detector import YoloDetector
from detect_transfer.training import engine
from detect_transfer.training.context import Interrupted
from detect_transfer.training.image_mixing import mixed_image
from detect_transfer.workflows import run_scores
from detect_transfer.workflows.resume import resume_config
from detect_transfer.workflows.train import Watch

HEAD = {"epochs": 2, "train": ["head"], "lr": 1e-3}


def tensors(tmp_path: Path, name: str, which: str = "last") -> dict[str, torch.Tensor]:
    return load_weights(tmp_path / name / "weights" / f"{which}.safetensors").tensors


def phases_of(result) -> list[int]:
    return [row["phase"] for row in result.progress.history]


def test_until__ends_training_or_the_phase(config, run) -> None:
    """Any AP reaches 1e-9 here, or none does; both ends are looked at by a metric that is always reached."""
    first = {**HEAD, "until": {"AP50": 1e-9}}
    result = run(config("a", transfer={"phases": [{**first, "on_until": "next"}, {"epochs": 1}]}))
    reached = [row["AP50"] >= 1e-9 for row in result.progress.history[1:]]
    expected = [0, 1, 2] if reached[0] else [0, 1, 1, 2]
    assert phases_of(result) == expected
    result = run(config("b", transfer={"phases": [first, {"epochs": 1}]}))
    if reached[0]:
        assert phases_of(result) == [0, 1]


def test_epoch0__scores_the_source_and_trains_nothing(config, run) -> None:
    result = run(config(transfer={"strategy": "epoch0"}, evaluate={"train_images": 5}))
    assert [row["epoch"] for row in result.progress.history] == [0]
    assert result.progress.history[0]["train_AP"] is not None
    assert json.loads((result.folder / "transfer.json").read_text())["frozen"]["identical"]
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert len(manifest["code_sha256"]) == 64
    assert manifest["peak_memory_mb"] > 50
    with pytest.raises(InputError, match="RESUME_FINISHED"):
        run(resume_config(result.folder, ["train.epochs=3"]), resume=True)


def test_patience_of_a_phase__goes_on_with_the_next(config, run) -> None:
    still = {"epochs": 5, "train": ["head"], "lr": 1e-12, "patience": 1}
    result = run(config(transfer={"phases": [still, {"epochs": 1, "lr": 1e-12}]}))
    assert phases_of(result)[-1] == 2
    assert len(phases_of(result)) < 7


def test_patience_of_training__still_tries_the_other_plan(config, run) -> None:
    result = run(config(transfer={}, train={"epochs": 3, "patience": 1, "lr": 1e-9, "imgsz": 64}))
    phases = phases_of(result)
    assert 2 in phases
    assert phases.count(2) < 3
    assert result.progress.finished


def test_the_bar__counts_the_whole_run(config, run) -> None:
    shares: list[float] = []
    watch = Watch(on_step=lambda *facts: shares.append(facts[4]))
    run(config(transfer={}, train={"epochs": 1, "imgsz": 64}), watch=watch)
    assert shares == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


def test_start_from_the_source__forgets_what_the_phase_before_did(config, run, tmp_path: Path) -> None:
    """After a phase that changes much, a new start with a rate of nearly nothing is the source again."""
    phases = [{"epochs": 1, "lr": 1e-2}, {"epochs": 1, "lr": 1e-12, "start": "source", "batchnorm": "frozen"}]
    settings = config(transfer={"phases": phases, "new_class_lr_factor": 1.0}, train={"weight_decay": 0.0})
    run(settings)
    source = load_weights(Path(settings.model.weights))
    last = tensors(tmp_path, "run")
    for name in ("model.0.conv.weight", "model.0.bn.running_mean", "model.16.m.0.cv1.conv.weight"):
        assert torch.allclose(last[name], source.tensors[name], atol=1e-8), name


def test_start_from_the_best__is_scored_by_its_own_features(config, run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best epoch trained the backbone, before a new start of the head alone: its features are not the source's."""
    phases = [{"epochs": 1, "lr": 1e-2}, {**HEAD, "epochs": 1, "start": "source"}]
    phases += [{**HEAD, "epochs": 1, "start": "best"}, {**HEAD, "epochs": 1}]
    comparisons: list[int] = []

    def coco_metrics(*_: object, **__: object) -> dict[str, float]:
        return dict.fromkeys(("AP", "AP50", "AP75"), 0.5 if scored == [0, 1] else 0.1)

    def score(scorer, module: torch.nn.Module, as_source: frozenset[str], name: str) -> dict[str, float]:
        scored.append(int(name))
        return call(scorer, module, as_source, name)

    def outputs(scorer, detector, as_source: frozenset[str]):
        forward = keep(scorer, detector, as_source)

        def compared(images: torch.Tensor) -> object:
            result = forward(images)
            torch.testing.assert_close(result, detector.module(images), atol=1e-3, rtol=1e-3)
            comparisons.append(scored[-1])
            return result

        return forward and compared

    scored: list[int] = []
    call, keep = run_scores.RunScorer.__call__, run_scores.ScoredImages._forward
    monkeypatch.setattr(run_scores.RunScorer, "__call__", score)
    monkeypatch.setattr(run_scores.ScoredImages, "_forward", outputs)
    monkeypatch.setattr(run_scores, "coco_metrics", coco_metrics)
    result = run(config(transfer={"phases": phases}))
    assert result.progress.best_epoch == 1
    assert scored == [0, 1, 2, 3, 4]
    assert 2 in comparisons, "the phase from the source is scored by kept features"


def test_a_phase_from_the_source__is_the_run_that_has_it_alone(config, run, tmp_path: Path) -> None:
    """So the default strategy is never below one of its plans by chance."""
    full = {"epochs": 2, "lr": 1e-3, "start": "source"}
    alone = run(config("alone", transfer={"phases": [full]}))
    after = run(config("after", transfer={"phases": [HEAD, full]}))
    first, second = tensors(tmp_path, "alone"), tensors(tmp_path, "after")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert after.progress.best_ap >= alone.progress.best_ap


def test_kept_features__train_as_images_do(config, run, tmp_path: Path) -> None:
    """With as many views as epochs every image is seen in the same views, in another order of epochs."""
    plain = {"epochs": 1, "train": ["head"], "lr": 1e-3}
    run(config("plain", transfer={"phases": [plain]}))
    run(config("kept", transfer={"phases": [{**plain, "cache_features": 1}]}))
    first, second = tensors(tmp_path, "plain"), tensors(tmp_path, "kept")
    assert all(torch.allclose(first[name], second[name], atol=1e-5) for name in first)


def test_kept_features__on_the_disk_or_not_at_all_change_nothing(config, run, tmp_path: Path) -> None:
    transfer = {"phases": [{"epochs": 1, "train": ["head"], "cache_features": 1}]}
    for cache in ("memory", "disk", "none"):
        run(config(cache, transfer=transfer, train={"cache": cache}))
    first = tensors(tmp_path, "memory")
    for cache in ("disk", "none"):
        second = tensors(tmp_path, cache)
        assert all(torch.allclose(first[name], second[name], atol=1e-5) for name in first), cache
        assert not (tmp_path / cache / "cache").exists()


@pytest.mark.slow
def test_kept_features__resume_to_the_bit(config, run, tmp_path: Path) -> None:
    transfer = {"phases": [{**HEAD, "cache_features": 2}]}
    run(config("whole", transfer=transfer))
    with pytest.raises(Interrupted):
        run(config("cut", transfer=transfer), watch=stop_after(2, 1))
    run(config("cut", transfer=transfer), resume=True)
    first, second = tensors(tmp_path, "whole"), tensors(tmp_path, "cut")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_a_strong_pull__holds_the_network_at_its_source(config, run, tmp_path: Path) -> None:
    """The new class layer is not pulled."""
    far, near = (
        config(name, transfer={"strategy": "full", "pull_to_source": strength, "batchnorm": "frozen"})
        for name, strength in (("far", 0.0), ("near", 1e6))
    )
    run(far)
    run(near)
    source = load_weights(Path(far.model.weights)).tensors
    moved = {
        name: max((tensors(tmp_path, name)[k] - t).abs().max().item() for k, t in source.items() if "conv.weight" in k)
        for name in ("far", "near")
    }
    assert moved["far"] > 1e-4
    assert moved["near"] == 0.0
    detector, _ = build_detector(
        near.model, near.transfer, ["a", "b", "c", "d"], load_weights(Path(near.model.weights))
    )
    assert detector.new_class_params


def test_roll_back__goes_on_at_half_the_rate(config, run, monkeypatch: pytest.MonkeyPatch) -> None:
    true_loss, calls = YoloDetector.loss, []

    def poisoned(self, outputs, targets, size_hw):
        calls.append(1)
        parts = true_loss(self, outputs, targets, size_hw)
        if len(calls) != 5:
            return parts
        return {name: replace(part, total=part.total * float("nan")) for name, part in parts.items()}

    monkeypatch.setattr(YoloDetector, "loss", poisoned)
    result = run(config(train={"on_not_finite": "roll_back", "schedule": "constant", "warmup": 0.0}))
    rates = [row["lr"]["head"] for row in result.progress.history[1:]]
    assert rates == [pytest.approx(5e-4), pytest.approx(2.5e-4)]
    assert np.isfinite(result.progress.history[-1]["loss"])


def test_mixing__ends_before_each_phase_does_and_keeps_out_of_features(
    config, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[int] = []

    def counted(index, *args):
        epochs.append(len(result_rows) + 1)
        return mixed_image(index, *args)

    result_rows: list[dict] = []
    monkeypatch.setattr("detect_transfer.training.dataset.mixed_image", counted)
    head = {"epochs": 1, "train": ["head"], "cache_features": 1}
    phases = [head, {"epochs": 2}, {"epochs": 2, "start": "best"}]
    settings = config(
        augment="small_set",
        transfer={"phases": phases},
        train={"class_balance": "both", "mosaic_until": 0.5, "batch": 16, "imgsz": 64},
    )
    watch = Watch(on_epoch=lambda row: result_rows.append(row) if row["epoch"] else None)
    assert run(settings, watch=watch).progress.history[-1]["loss"] > 0
    assert set(epochs) == {2, 4}, "the first of two epochs, in both phases; none where features are computed once"


def test_kept_source_classes__stay_in_the_head(config, run, tmp_path: Path) -> None:
    """The row of a kept class is that of the source; a random source is sure of nothing, so no target is added."""
    transfer = {"strategy": "head_only", "keep_source_classes": ["person"]}
    settings = config(transfer=transfer, train={"epochs": 1, "lr": 1e-12})
    run(settings)
    best = load_weights(tmp_path / "run" / "weights" / "best.safetensors")
    assert best.class_names[-1] == "person"
    name = "model.23.cv3.0.2.weight"
    source = load_weights(Path(settings.model.weights)).tensors[name]
    assert torch.allclose(best.tensors[name][-1], source[0], atol=1e-6)


def test_kept_source_classes__that_are_untouched_keep_their_rows(config, run, tmp_path: Path) -> None:
    transfer = {"strategy": "head_only", "keep_source_classes": ["person"], "keep_from": "untouched"}
    settings = config(transfer=transfer, train={"epochs": 1, "lr": 0.01, "weight_decay": 0.0})
    run(settings)
    last = load_weights(tmp_path / "run" / "weights" / "last.safetensors").tensors
    source = load_weights(Path(settings.model.weights)).tensors
    for name in ("model.23.cv3.0.2.weight", "model.23.cv3.0.2.bias"):
        assert torch.allclose(last[name][-1], source[name][0], atol=1e-6)
        assert not torch.allclose(last[name][0], source[name][0], atol=1e-3)


def test_kept_source_class__that_the_source_lacks_is_reported() -> None:
    from detect_transfer.core.errors import InputError
    from detect_transfer.models.checkpoints import SourceWeights

    source = SourceWeights({}, "yolo11n", ("person", "car"), Path("w"), "")
    with pytest.raises(InputError, match=r"CLASS_UNKNOWN transfer\.keep_source_classes=cart .*did you mean 'car'"):
        build_detector(Model(), Transfer(keep_source_classes=["cart"]), ["sign", "cart"], source)


def test_budget__is_shared_out_and_its_end_is_the_end_of_the_run(config, run, monkeypatch) -> None:
    """A hundred epochs of each phase would take longer; the rate has fallen to its end all the same.

    Time passes by looking at the clock, however busy the machine is.
    """
    ticks = count()
    monkeypatch.setattr(time, "monotonic", lambda: 0.01 * next(ticks))
    phases = [{"epochs": 100, "train": ["head"]}, {"epochs": 100, "train": ["head"], "start": "source"}]
    result = run(config(transfer={"phases": phases, "budget": 0.02}, train={"imgsz": 64}))
    history = result.progress.history
    assert result.progress.finished
    assert {row["phase"] for row in history} == {0, 1, 2}
    assert len(history) < 100
    assert history[-1]["lr"]["head"] < 0.2 * max(row["lr"]["head"] for row in history[1:])
    cut = [row["images"] for row in history[1:]]
    assert min(cut) < max(cut)  # which is a whole epoch
    assert cut == [round(row["images_per_second"] * row["train_seconds"]) for row in history[1:]]


def test_budget_that_is_over_at_once__leaves_epoch_0(config, run) -> None:
    said: list[str] = []
    watch = Watch(on_stage=said.append)
    result = run(config(transfer={"strategy": "full", "budget": 1e-6}, train={"imgsz": 64}), watch=watch)
    assert phases_of(result) == [0]
    assert result.progress.finished
    assert "phase 1: its share of transfer.budget leaves no time for its 2 epochs" in said


def test_a_run_that_its_budget_ended__is_extended_with_more_of_it(config, run, tmp_path: Path) -> None:
    run(config(transfer={"strategy": "full", "budget": 1e-6}, train={"imgsz": 64}))
    with pytest.raises(
        InputError, match=r"RESUME_FINISHED .*are over; go on with .*epochs=4 transfer\.budget="
    ) as error:
        run(resume_config(tmp_path / "run", ["train.epochs=4"]), resume=True)
    assert (tmp_path / "run" / "manifest.json").exists(), "it is still a whole run"
    words = ["train.epochs=3", f"transfer.budget={1 + float(str(error.value).rpartition('=')[2])}"]
    result = run(resume_config(tmp_path / "run", words), resume=True)
    assert phases_of(result) == [0, 2]


def test_features_that_are_computed_first__count_in_the_seconds_of_an_epoch(config, run, monkeypatch) -> None:
    true_features = engine.cache_features

    def slow(*arguments):
        time.sleep(0.5)
        return true_features(*arguments)

    monkeypatch.setattr(engine, "cache_features", slow)
    result = run(config(transfer={"phases": [{**HEAD, "cache_features": 1}]}, train={"imgsz": 64}))
    assert result.progress.history[1]["epoch_seconds"] > 0.5
