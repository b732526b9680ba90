"""The loop on a tiny run: epoch 0, freezing, resuming, stopping, losses that are not finite."""

from pathlib import Path

import pytest
import torch

from detect_transfer.errors import InputError
from detect_transfer.models import build_detector, load_weights
from detect_transfer.models.yolo import YoloDetector
from detect_transfer.run import Watch
from detect_transfer.training.job import Interrupted
from detect_transfer.training.lock import hold


def test_epoch_0__is_the_source_as_it_came(config, run) -> None:
    result = run(config("run", train={"epochs": 1, "lr": 1e-5}))
    history = result.progress.history
    assert [row["epoch"] for row in history] == [0, 1]
    assert "loss" not in history[0]
    assert result.progress.best_ap == max(row["AP"] for row in history)
    assert result.metrics["AP"] == pytest.approx(history[result.progress.best_epoch]["AP"], abs=1e-9)


def test_training_that_harms__hands_back_epoch_0(config, run, tmp_path: Path, weights: Path) -> None:
    """A rate that wrecks the network: what is kept as best is the source, row for row."""
    settings = config("run", train={"lr": 1.0, "warmup": 0.0, "clip_norm": 1e9})
    try:
        result = run(settings)
    except InputError as error:  # it may also diverge at once
        assert error.code == "LOSS_NOT_FINITE"  # noqa: PT017
    else:
        assert result.progress.best_ap >= result.progress.history[0]["AP"]
    best = load_weights(tmp_path / "run" / "weights" / "best.safetensors")
    assert all(torch.isfinite(t).all() for t in best.tensors.values())


@pytest.mark.parametrize(("strategy", "moved"), [("head_only", {"head"}), ("frozen_backbone", {"neck", "head"})])
def test_frozen_stages__do_not_change_by_a_bit(
    config, run, weights: Path, tmp_path: Path, strategy: str, moved: set[str]
) -> None:
    import json

    settings = config("run", transfer={"strategy": strategy}, train={"epochs": 1})
    run(settings)
    source = load_weights(weights)
    last = load_weights(tmp_path / "run" / "weights" / "last.safetensors")
    detector, _ = build_detector(settings.model, settings.transfer, last.class_names, source)
    changed = {
        detector.stages()[name]
        for name, tensor in detector.module.state_dict().items()
        if not torch.equal(tensor, last.tensors[name])
    }
    assert changed == moved
    told = json.loads((tmp_path / "run" / "transfer.json").read_text())["frozen"]
    assert told["identical"] is True
    assert told["tensors"] == sum(stage not in moved for stage in detector.stages().values())


def test_batchnorm_all__moves_statistics_of_frozen_stages(config, run, weights: Path, tmp_path: Path) -> None:
    """The negative control of the test above."""
    transfer = {"strategy": "head_only", "batchnorm": "all"}
    run(config("run", transfer=transfer, train={"epochs": 1}))
    source = load_weights(weights)
    last = load_weights(tmp_path / "run" / "weights" / "last.safetensors")
    name = "model.0.bn.running_mean"
    assert not torch.equal(source.tensors[name], last.tensors[name])
    assert torch.equal(source.tensors["model.0.conv.weight"], last.tensors["model.0.conv.weight"])


def stop_after(epoch: int) -> Watch:
    watch = Watch(on_step=lambda e, step, *_: setattr(watch.stop, "signal", 15) if (e, step) == (epoch, 2) else None)
    return watch


def test_resumed_run__equals_the_uninterrupted_one(config, run, weights: Path, tmp_path: Path) -> None:
    transfer = {"phases": [{"epochs": 1, "train": ["head"]}, {"epochs": 2, "train": "all", "lr": 1e-3}]}
    whole = run(config("whole", transfer=transfer))
    cut = config("cut", transfer=transfer)
    for epoch in (2, 3):  # once at the seam of the phases, once inside the second
        with pytest.raises(Interrupted):
            run(cut, watch=stop_after(epoch), resume=epoch == 3)
    resumed = run(cut, resume=True)
    for which in ("best", "last"):
        first, second = (load_weights(tmp_path / f / "weights" / f"{which}.safetensors") for f in ("whole", "cut"))
        for name, tensor in first.tensors.items():
            assert torch.equal(tensor, second.tensors[name]), name
    scores = [[row["AP"] for row in r.progress.history] for r in (whole, resumed)]
    assert scores[0] == scores[1]
    assert len((tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()) == 4


def test_resuming__is_refused_where_it_would_lie(config, run, weights: Path, tmp_path: Path) -> None:
    settings = config("run", train={"epochs": 2})
    with pytest.raises(Interrupted):
        run(settings, watch=stop_after(2))
    changed = settings.model_copy(update={"train": settings.train.model_copy(update={"lr": 0.5})})
    with pytest.raises(InputError, match="RESUME_CHANGED"):
        run(changed, resume=True)
    run(settings, resume=True)
    with pytest.raises(InputError, match="RESUME_FINISHED"):
        run(settings, resume=True)
    (tmp_path / "run" / "manifest.json").unlink()  # as if the report had failed: it is written now
    run(settings, resume=True)
    assert (tmp_path / "run" / "manifest.json").exists()
    state = tmp_path / "run" / "weights" / "state.pt"
    state.write_bytes(state.read_bytes()[:1000])
    with pytest.raises(InputError, match="RESUME_DAMAGED"):
        run(settings, resume=True)


def test_patience__ends_training(config, run) -> None:
    settings = config("run", train={"epochs": 6, "patience": 1, "lr": 1e-7})
    result = run(settings)
    assert result.progress.epoch < 6
    assert result.progress.finished


def test_loss_that_is_not_finite__names_the_pictures(
    config, run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_loss = YoloDetector.loss

    def poisoned(self, outputs, targets, size_hw):
        return {name: value * float("nan") for name, value in true_loss(self, outputs, targets, size_hw).items()}

    monkeypatch.setattr(YoloDetector, "loss", poisoned)
    with pytest.raises(InputError, match=r"LOSS_NOT_FINITE train\.lr - .*\.jpg.*lower train\.lr"):
        run(config("run"))
    best = load_weights(tmp_path / "run" / "weights" / "best.safetensors")
    assert all(torch.isfinite(t).all() for t in best.tensors.values())


def test_memory_that_does_not_suffice__gives_advice(config, run, monkeypatch: pytest.MonkeyPatch) -> None:
    from detect_transfer.errors import ResourceError

    def full(self, outputs, targets, size_hw):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")

    monkeypatch.setattr(YoloDetector, "loss", full)
    with pytest.raises(
        ResourceError, match=r"OUT_OF_MEMORY train\.batch=8 .*try train\.accumulate=2 or train\.batch=4"
    ):
        run(config("run"))


def test_a_folder_that_another_run_holds__is_refused(config, run, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(config(), watch=stop_after(1))
    before = (tmp_path / "run" / "weights" / "state.pt").read_bytes()
    with hold(tmp_path / "run"), pytest.raises(InputError, match=r"RUN_IN_USE .*run - another process"):
        run(config(), resume=True)
    assert (tmp_path / "run" / "weights" / "state.pt").read_bytes() == before
    run(config(), resume=True)
