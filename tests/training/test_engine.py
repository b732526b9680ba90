"""The loop on a tiny run: epoch 0, freezing, resuming, stopping, losses that are not finite."""

import json
import logging
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from accelerate.state import AcceleratorState
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.ops import StochasticDepth
from watches import stop_after

from detect_transfer.config import Model, Phase, Train, Transfer, load_config
from detect_transfer.core.errors import InputError, ResourceError
from detect_transfer.models import build_detector, load_weights
from detect_transfer.models.base import LossPart
from detect_transfer.models.yolo.detector import YoloDetector
from detect_transfer.training import epoch as training_epoch
from detect_transfer.training.checkpoint import Progress, save_state
from detect_transfer.training.context import Interrupted
from detect_transfer.training.epoch import set_mode
from detect_transfer.training.lock import lock_folder
from detect_transfer.training.plan import make_plan
from detect_transfer.workflows.resume import resume_config
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.run_log import logging_to
from detect_transfer.workflows.train import Watch
from detect_transfer.workflows.train_context import _fingerprint, batch_of_device


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
    record = json.loads((tmp_path / "run" / "transfer.json").read_text())["frozen"]
    assert record["identical"] is True
    assert record["tensors"] == sum(stage not in moved for stage in detector.stages().values())


def test_batchnorm_all__moves_statistics_of_frozen_stages(config, run, weights: Path, tmp_path: Path) -> None:
    """The negative control of the test above."""
    transfer = {"strategy": "head_only", "batchnorm": "all"}
    run(config("run", transfer=transfer, train={"epochs": 1}))
    source = load_weights(weights)
    last = load_weights(tmp_path / "run" / "weights" / "last.safetensors")
    name = "model.0.bn.running_mean"
    assert not torch.equal(source.tensors[name], last.tensors[name])
    assert torch.equal(source.tensors["model.0.conv.weight"], last.tensors["model.0.conv.weight"])


@pytest.mark.slow
def test_resumed_run__equals_the_uninterrupted_one(config, run, weights: Path, tmp_path: Path) -> None:
    transfer = {"phases": [{"epochs": 1, "train": ["head"]}, {"epochs": 2, "train": "all", "lr": 1e-3}]}
    parts = {"transfer": transfer, "augment": ["small_set", {"MixUp": {"p": 0.5}}]}
    whole = run(config("whole", **parts))
    cut = config("cut", **parts)
    for epoch, step in ((2, 2), (3, 3)):  # at the seam of the phases, then after the last step of an epoch
        with pytest.raises(Interrupted):
            run(cut, watch=stop_after(epoch, step), resume=epoch == 3)
    resumed = run(cut, resume=True)
    for which in ("best", "last"):
        first, second = (load_weights(tmp_path / f / "weights" / f"{which}.safetensors") for f in ("whole", "cut"))
        for name, tensor in first.tensors.items():
            assert torch.equal(tensor, second.tensors[name]), name
    scores = [[row["AP"] for row in r.progress.history] for r in (whole, resumed)]
    assert scores[0] == scores[1]
    rates = [[row.get("lr") for row in r.progress.history] for r in (whole, resumed)]
    assert rates[0] == rates[1]
    for row in resumed.progress.history[1:]:
        assert row["images_per_second"] * row["train_seconds"] == pytest.approx(10)
        assert row["train_seconds"] <= row["epoch_seconds"]
    assert len((tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()) == 4


@pytest.mark.slow
def test_resuming__is_refused_where_it_would_lie(config, run, stopped_in_epoch_2: Path, tmp_path: Path) -> None:
    settings = config()
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
    whole = state.read_bytes()
    for length in (0, 1000, 5000, len(whole) // 2, len(whole) - 1):
        state.write_bytes(whole[:length])
        with pytest.raises(InputError, match="RESUME_DAMAGED"):
            run(settings, resume=True)


def test_resuming__removes_what_a_killed_process_left_half_written(config, run, stopped: Path) -> None:
    left = [stopped / name for name in (".metrics.jsonl.77.tmp", "weights/.state.pt.77.tmp")]
    for path in left:
        path.write_bytes(b"half")
    run(config(), resume=True)
    assert not any(path.exists() for path in left)


def test_resuming_without_the_best_weights__is_refused_at_once(config, run, stopped: Path) -> None:
    (stopped / "weights" / "best.safetensors").unlink()
    with pytest.raises(InputError, match=r"FILE_MISSING .*best\.safetensors - .*the best epoch so far"):
        run(config(), resume=True)


def test_state_that_the_disk_does_not_hold__leaves_the_one_before(tmp_path: Path) -> None:
    """A limit on the size of a file breaks a write in its middle, as a full disk does."""
    path = tmp_path / "state.pt"
    save_state(path, Progress(epoch=1), "of", {"module": {"a": torch.zeros(10)}, "average": {}})
    large = {"a": torch.zeros(100_000)}
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(ResourceError, match=r"WRITE_FAILED .*state\.pt - writing failed: File too large"):
            save_state(path, Progress(epoch=2), "of", {"module": large, "average": large})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


def test_log_that_cannot_be_written__says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no device that is always full")
    with logging_to(Path("/dev/full")):
        logging.getLogger("detect_transfer").warning("x" * 100_000)
    assert capsys.readouterr().err == ""


def test_patience__ends_training(config, run) -> None:
    settings = config("run", train={"epochs": 6, "patience": 1, "lr": 1e-7})
    result = run(settings)
    assert result.progress.epoch < 6
    assert result.progress.finished


def test_loss_that_is_not_finite__names_the_images(
    config, run, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_loss = YoloDetector.loss

    def poisoned(self, outputs, targets, size_hw):
        parts = true_loss(self, outputs, targets, size_hw)
        return {name: replace(part, total=part.total * float("nan")) for name, part in parts.items()}

    monkeypatch.setattr(YoloDetector, "loss", poisoned)
    with pytest.raises(InputError, match=r"LOSS_NOT_FINITE train\.lr - .*\.jpg.*lower train\.lr"):
        run(config("run"))
    best = load_weights(tmp_path / "run" / "weights" / "best.safetensors")
    assert all(torch.isfinite(t).all() for t in best.tensors.values())


def test_loss_of_a_part_that_is_not_finite__names_the_images_of_that_part(
    config, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_loss, given = YoloDetector.loss, []

    def poisoned(self, outputs, targets, size_hw):
        parts = true_loss(self, outputs, targets, size_hw)
        if torch.is_grad_enabled():
            given.append(targets)
        factor = float("nan") if len(given) == 2 else 1.0
        return {name: replace(part, total=part.total * factor) for name, part in parts.items()}

    monkeypatch.setattr(YoloDetector, "loss", poisoned)
    with pytest.raises(InputError, match=r"LOSS_NOT_FINITE") as error:
        run(config("run", train={"accumulate": 2}))
    assert str(error.value).count(".jpg") == len(given[1]) == 2


def test_a_step__asks_the_device_for_numbers_once(config, run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each number that is read from a GPU waits for it; losses and gradient are read together."""
    reads: list[int] = []

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten._local_scalar_dense.default and args[0].is_floating_point():
                reads[-1] += 1
            return func(*args, **(kwargs or {}))

    def counted(*args):
        reads.append(0)
        with Counting():
            return step(*args)

    def simple_loss(self, outputs, targets, size_hw):
        mean = torch.stack([tensor.float().mean() for tensor in outputs["feats"]]).mean()
        return {name: LossPart.of(mean, 1.0) for name in ("first", "second")}

    step = training_epoch._one_step
    monkeypatch.setattr(YoloDetector, "loss", simple_loss)
    monkeypatch.setattr(training_epoch, "_one_step", counted)
    run(config("run", train={"epochs": 1}))
    assert reads
    assert set(reads) == {0}, "tolist() is the one read, and is not counted"


def test_memory_that_does_not_suffice__gives_advice(config, run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self, outputs, targets, size_hw):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")

    monkeypatch.setattr(YoloDetector, "loss", full)
    with pytest.raises(
        ResourceError, match=r"OUT_OF_MEMORY train\.batch=4 .*--resume \S+run train\.accumulate=2, .*train\.batch=2"
    ):
        run(config("run"))


def test_a_image_alone_with_one_value_a_channel__is_reported(config, run) -> None:
    with pytest.raises(InputError, match=r"BATCH_TOO_SMALL train\.imgsz=32 - .*larger train\.imgsz"):
        run(config(train={"imgsz": 32, "batch": 1}))


def test_a_folder_that_another_run_locks__is_refused(config, run, stopped: Path) -> None:
    before = (stopped / "weights" / "state.pt").read_bytes()
    with lock_folder(stopped), pytest.raises(InputError, match=r"RUN_IN_USE .*run - another process"):
        run(config(), resume=True)
    assert (stopped / "weights" / "state.pt").read_bytes() == before
    with lock_folder(stopped):  # which is free again
        pass


def test_frozen_stages__are_wholly_in_evaluation_mode() -> None:
    """Dropout and stochastic depth of a frozen backbone would make its features random."""
    model = Model(family="torchvision", arch="fasterrcnn", backbone="efficientnet_b0", weights="scratch")
    detector, _ = build_detector(model, Transfer(), ["a"], None)
    for phase, backbone_trains in ((head_phase(["neck", "rpn", "head"]), False), (head_phase("all"), True)):
        plan = make_plan(Transfer(phases=[phase]), Train(), frozenset(detector.stages().values()), "no source")
        set_mode(detector, plan.phases[0])
        random = [m for m in detector.module.modules() if isinstance(m, (StochasticDepth, torch.nn.Dropout))]
        assert random
        assert {m.training for m in random} == {backbone_trains}
        assert all(m.training == backbone_trains for m in detector.module.backbone.body.modules())
        assert detector.module.rpn.training


def head_phase(train) -> Phase:
    return Phase(epochs=1, train=train)


def test_precision__is_that_of_the_config_whatever_the_environment_says(
    config, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(config("plain", train={"epochs": 1}))
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    AcceleratorState._reset_state(True)
    try:
        run(config("with_callbacks", train={"epochs": 1}))
    finally:
        AcceleratorState._reset_state(True)
    first, second = (
        load_weights(tmp_path / name / "weights" / "last.safetensors").tensors for name in ("plain", "with_callbacks")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_half_precision__that_stays_not_finite_ends_with_a_message(
    config, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_loss = YoloDetector.loss

    def huge(self, outputs, targets, size_hw):
        parts = true_loss(self, outputs, targets, size_hw)
        return {name: replace(part, total=part.total * 1e34) for name, part in parts.items()}

    monkeypatch.setattr(YoloDetector, "loss", huge)
    with pytest.raises(InputError, match=r"LOSS_NOT_FINITE .*gradient.*train\.precision=fp32"):
        run(
            config(
                train={"batch": 1, "imgsz": 64, "precision": "fp16", "epochs": 2}, transfer={"strategy": "head_only"}
            )
        )


def test_half_precision__that_changed_nothing_is_said(config, run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A short run is over before the scale is so low that the steps can be said to fail for good."""
    true_loss = YoloDetector.loss

    def huge(self, outputs, targets, size_hw):
        parts = true_loss(self, outputs, targets, size_hw)
        return {name: replace(part, total=part.total * 1e34) for name, part in parts.items()}

    monkeypatch.setattr(YoloDetector, "loss", huge)
    stages: list[str] = []
    settings = config(train={"imgsz": 64, "precision": "fp16", "epochs": 2}, transfer={"strategy": "head_only"})
    run(settings, watch=Watch(on_stage=stages.append))
    said = [text for text in stages if "none of the 3 steps of epoch" in text and "train.precision=fp32" in text]
    assert len(said) == 2


def test_resuming__takes_the_remedies_of_full_memory(run, stopped: Path) -> None:
    """Each of them alone is taken, and a run goes on with all of them."""
    words = ["train.accumulate=2", "train.workers=1", "train.cache=disk", "train.cache_mb=1", "train.device=cpu"]
    began_with = load_config(stopped / "config.yaml")
    data = SimpleNamespace(fingerprint="")
    for word in words:
        alone = resume_config(stopped, [word])
        assert alone.train != began_with.train
        assert _fingerprint(alone, data, None) == _fingerprint(began_with, data, None)
    changed = resume_config(stopped, words)
    assert run(changed, resume=True).progress.finished
    assert load_config(stopped / "config.yaml").train == changed.train


@pytest.mark.parametrize("word", ["train.lr=0.1", "train.batch=2", "transfer.strategy=full", "data.val_split=train"])
def test_resuming__refuses_what_would_change_the_run(stopped: Path, word: str) -> None:
    with pytest.raises(
        InputError, match=rf"RESUME_KEY {word.partition('=')[0].replace('.', chr(92) + '.')}.*train\.accumulate"
    ):
        resume_config(stopped, [word])


def test_batch__must_be_shared_evenly_by_the_devices() -> None:
    assert batch_of_device(6, 2) == 3
    for batch in (1, 5):
        with pytest.raises(InputError, match=rf"BATCH_DEVICES train\.batch={batch} .*train\.batch={batch + 1}"):
            batch_of_device(batch, 2)


def test_a_finished_run__is_extended_from_its_last_weights(run, finished: Path, tmp_path: Path) -> None:
    before = RunFolder(finished).read_history()
    stages: list[str] = []
    watch = Watch(on_stage=stages.append)
    result = run(resume_config(tmp_path / "run", ["train.epochs=4"]), resume=True, watch=watch)
    assert [row["epoch"] for row in result.progress.history] == [0, 1, 2, 3, 4]
    assert result.progress.history[:3] == before
    assert any("from its last weights" in text and "epochs 3 to 4" in text for text in stages)
    assert (tmp_path / "run" / "manifest.json").exists()
    assert load_config(tmp_path / "run" / "config.yaml").train.epochs == 4
    record = json.loads((tmp_path / "run" / "transfer.json").read_text())
    assert [phase["epochs"] for phase in record["phases"]] == [2, 2]


def test_an_extension__that_was_stopped_goes_on_to_the_bit(run, finished: Path, tmp_path: Path) -> None:
    for name, watches in (("whole", [Watch()]), ("cut", [stop_after(4), Watch()])):
        shutil.copytree(finished, tmp_path / name)
        words = ["train.epochs=4"]
        for watch in watches:
            try:
                run(resume_config(tmp_path / name, words), resume=True, watch=watch)
            except Interrupted:
                words = []
    first, second = (
        load_weights(tmp_path / name / "weights" / "last.safetensors").tensors for name in ("whole", "cut")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.epochs=2"], "RESUME_FINISHED .*train\\.epochs=4"),
        (["train.epochs=1"], "RESUME_FINISHED"),
        ([], "RESUME_FINISHED .*--resume"),
    ],
)
def test_a_finished_run__is_not_extended_by_nothing(run, finished: Path, words, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(resume_config(finished, words), resume=True)


@pytest.mark.parametrize("key", ["planned_epochs", "plan"])
def test_state_of_an_earlier_version__is_refused(config, run, stopped: Path, key: str) -> None:
    state = stopped / "weights" / "state.pt"
    states = torch.load(state, weights_only=True)
    del states["progress"][key]
    torch.save(states, state)
    with pytest.raises(InputError, match=r"RESUME_CHANGED .*an earlier version"):
        run(config(), resume=True)


def test_a_run_of_other_phases__is_not_gone_on_with(config, run, stopped: Path) -> None:
    """A version that plans the same config otherwise would train neither the old plan nor the new one."""
    state = stopped / "weights" / "state.pt"
    states = torch.load(state, weights_only=True)
    states["progress"]["plan"] = "5 from previous: []"
    torch.save(states, state)
    with pytest.raises(InputError, match=r"RESUME_CHANGED .*planned other phases"):
        run(config(), resume=True)


def test_a_run_that_has_not_finished__is_not_extended(run, stopped: Path) -> None:
    with pytest.raises(InputError, match=r"RESUME_UNFINISHED train\.epochs=4 .*resume it without"):
        run(resume_config(stopped, ["train.epochs=4"]), resume=True)


def test_stopped_run__names_a_command_that_works_as_typed() -> None:
    going_on = "go on with: detect-transfer train --resume 'my runs'"
    for number, name in ((signal.SIGHUP, "SIGHUP"), (signal.SIGINT, "the keyboard"), (signal.SIGTERM, "SIGTERM")):
        assert str(Interrupted(number, Path("my runs"))) == f"stopped by {name}; {going_on}"
