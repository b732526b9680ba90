"""Averages of weights after training: how they are made, which rows they leave, and that a run can stop among them."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from detect_transfer.cli.console import print_result
from detect_transfer.config import Model, Phase, Train, Transfer
from detect_transfer.models import build_detector, licences, load_weights, save_weights
from detect_transfer.models.base import ClassInit, TransferReport
from detect_transfer.training import mixing
from detect_transfer.training.checkpoint import Progress
from detect_transfer.training.context import Interrupted
from detect_transfer.training.mixes import Mix, class_rows_from_training, interpolate, mix_options, ranked_epochs, soup
from detect_transfer.training.plan import make_plan
from detect_transfer.workflows import run_scores, train_outputs
from detect_transfer.workflows.resume import resume_config
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.train import Watch
from detect_transfer.workflows.watch import epoch_line

FASTER_RCNN = {"family": "torchvision", "arch": "fasterrcnn", "backbone": "mobilenet_v2", "weights": "scratch"}


def tensors(path: Path) -> dict[str, torch.Tensor]:
    return load_weights(path).tensors


def test_interpolation__goes_from_source_to_trained_and_leaves_new_rows() -> None:
    source = {"w": torch.zeros(3, 2), "n": torch.tensor(1), "s": torch.zeros(2)}
    trained = {"w": torch.ones(3, 2), "n": torch.tensor(9), "s": torch.full((2,), 4.0)}
    mixed = interpolate(source, trained, 0.25, {"w": torch.tensor([False, True, False])})
    assert mixed["w"].tolist() == [[0.25, 0.25], [1.0, 1.0], [0.25, 0.25]]
    assert (mixed["n"].item(), mixed["s"].tolist()) == (9, [1.0, 1.0])
    assert source["w"].sum() == 0


def test_soup__is_the_mean() -> None:
    states = [{"w": torch.full((2,), float(i)), "n": torch.tensor(i)} for i in (1, 2, 6)]
    mean = soup(states)
    assert mean["w"].tolist() == pytest.approx([3.0, 3.0])
    assert mean["n"].item() == 1


def test_soup__leaves_what_was_frozen_to_the_bit() -> None:
    torch.manual_seed(0)
    frozen = torch.randn(1000)
    assert torch.equal(soup([{"w": frozen.clone()} for _ in range(3)])["w"], frozen)


@pytest.mark.parametrize("family", ["yolo", "torchvision"])
def test_rows_of_new_classes__are_those_without_a_source(family: str, tmp_path: Path) -> None:
    """The class and box rows of the second of three classes."""
    torch.manual_seed(0)
    model = Model() if family == "yolo" else Model.model_validate(FASTER_RCNN)
    first, _ = build_detector(model, Transfer(), ["person", "stop"], None)
    save_weights(tmp_path / "w.safetensors", first.module.state_dict(), first.metadata())
    source = load_weights(tmp_path / "w.safetensors")
    chosen = model.model_copy(update={"weights": str(tmp_path / "w.safetensors")})
    detector, report = build_detector(chosen, Transfer(), ["person", "new", "stop"], source)
    options = mix_options(Transfer(), detector, report)
    assert options.shares == (0.25, 0.5, 0.75)
    assert options.trained_rows
    shift = int(family == "torchvision")
    for name, rows in options.trained_rows.items():
        each = len(rows) // (3 + shift)
        assert rows.reshape(-1, each).any(dim=1).tolist() == [False] * (1 + shift) + [True, False], name
    initial = {name: t.clone() for name, t in detector.module.state_dict().items()}
    zeros = {name: torch.zeros_like(t) for name, t in initial.items()}
    for name, tensor in interpolate(initial, zeros, 0.5, options.trained_rows).items():
        rows = options.trained_rows.get(name)
        if rows is not None:
            assert torch.equal(tensor[~rows], initial[name][~rows] / 2)
            assert not tensor[rows].any()


def test_rows_of_weak_evidence__come_from_training() -> None:
    """A source class that hardly knows the new one is a start, and no end to interpolate from."""
    module = torch.nn.Linear(2, 3)
    detector = SimpleNamespace(module=module, class_rows=lambda: {"weight": [0, 1, 2]})
    how = (ClassInit("a", ("x",), "evidence"), ClassInit("b", ("y",), "weak evidence"), ClassInit("c", (), "random"))
    rows = class_rows_from_training(detector, TransferReport(how, 2, ()))
    assert rows["weight"].tolist() == [False, True, True]


def test_source_of_a_backbone_alone__is_not_mixed_in() -> None:
    """What begins at random is no end to interpolate from; means of epochs are made all the same."""
    module = torch.nn.Linear(2, 2)
    detector = SimpleNamespace(module=module, class_rows=dict)
    report = TransferReport((ClassInit("a", (), "random"),), 1, ("weight",))
    assert mix_options(Transfer(), detector, report).shares == ()
    assert mix_options(Transfer(soup_epochs=3), detector, report).stored_epochs == 3
    assert mix_options(Transfer(interpolate=[1, 0.5]), detector, report).shares == (0.5,)
    assert mix_options(Transfer(interpolate="off"), detector, report).stored_epochs == 0


@pytest.mark.parametrize(
    ("aps", "kept", "best"),
    [
        ((0.446, 0.447, 0.440), [], 0.5),  # of .25, .5 and .75, beside an epoch of .444: the highest
        ((0.448, 0.447, 0.440), ["car"], 0.25),
        ((0.438, 0.444, 0.447), ["car"], 0.5),
        ((0.430, 0.441, 0.439), ["car"], 0.5),  # below the epoch, but nearer to the source
        ((0.430, 0.437, 0.438), ["car"], None),
    ],
)
def test_best_average__is_the_nearest_to_the_source_where_classes_are_kept(
    aps: tuple[float, ...], kept: list[str], best: float | None
) -> None:
    detector = SimpleNamespace(module=torch.nn.Linear(2, 2), class_rows=lambda: {"weight": [0, 1]})
    how = (ClassInit("a", ("x",), "evidence"), ClassInit("b", ("y",), "evidence"))
    options = mix_options(Transfer(keep_source_classes=kept), detector, TransferReport(how, 2, ()))
    progress = Progress(epoch=3, best_epoch=3, best_ap=0.444, history=[{"epoch": 3, "AP": 0.444}])
    for share in options.shares:
        ap = dict(zip((0.25, 0.5, 0.75), aps, strict=True))[share]
        progress.note_mix({"share": share, "AP": ap}, give_up=options.give_up)
    assert (None if progress.best_mix is None else progress.best_mix["share"]) == best
    assert progress.best_epoch == 3


def test_epoch_after_a_best_average__is_best_above_every_epoch_before() -> None:
    """The average was kept for what it knows of the source; a run that is extended goes on with it."""
    progress = Progress(
        epoch=3, best_epoch=3, best_ap=0.444, history=[{"epoch": 0, "AP": 0.1}, {"epoch": 3, "AP": 0.444}]
    )
    assert progress.note_mix({"share": 0.25, "AP": 0.440}, give_up=0.005)
    assert not progress.note({"epoch": 4, "AP": 0.442})
    assert (progress.best_ap, progress.best_epoch, progress.best_mix) == (0.440, 3, {"share": 0.25, "AP": 0.440})
    assert not progress.note({"epoch": 5, "AP": None})
    assert progress.note({"epoch": 6, "AP": 0.445})
    assert (progress.best_ap, progress.best_epoch, progress.best_mix) == (0.445, 6, None)


@pytest.mark.parametrize(("value", "expected"), [("off", "off"), (False, "off"), ("auto", "auto"), ([0.5], [0.5])])
def test_key__takes_what_yaml_makes_of_off(value: object, expected: object) -> None:
    assert Transfer.model_validate({"interpolate": value}).interpolate == expected


@pytest.mark.parametrize("value", [[], [0], [1.5], "on", True])
def test_key__refuses_other_values(value: object) -> None:
    with pytest.raises(ValueError, match="interpolate"):
        Transfer.model_validate({"interpolate": value})


def test_best_course__comes_first_and_its_best_epoch() -> None:
    yolo = frozenset({"stem", "neck", "head"})
    plan = make_plan(Transfer(phases=[Phase(epochs=2), Phase(epochs=2, start="source")]), Train(), yolo, "some")
    values = [(0, 0.9), (1, 0.2), (1, 0.3), (2, 0.5), (2, 0.4)]
    history = [{"epoch": i, "phase": phase, "AP": ap} for i, (phase, ap) in enumerate(values)]
    assert ranked_epochs(history, plan) == [[3, 4], [2, 1]]


@pytest.fixture
def ap_by_weights(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str], float]], None]:
    """Return what sets the AP of what is scored by its name: `000001` of an epoch, `mix_000` of an average."""

    def _set(ap_of: Callable[[str], float]) -> None:
        true_call = run_scores.RunScorer.__call__

        def call(self, module, as_source, name):
            true_call(self, module, as_source, name)
            return dict.fromkeys(("AP", "AP50", "AP75"), ap_of(name))

        monkeypatch.setattr(run_scores.RunScorer, "__call__", call)

    return _set


def rising(name: str) -> float:
    """Epochs rise, the second average is the best of all."""
    number = int(name.removeprefix("mix_"))
    return (0.6 if number == 1 else 0.1) if name.startswith("mix_") else 0.1 + 0.1 * number


@pytest.mark.usefixtures("page")
def test_run__hands_back_the_best_average_and_extends_from_the_trained_weights(
    config, run, tmp_path: Path, ap_by_weights, capsys: pytest.CaptureFixture[str]
) -> None:
    ap_by_weights(rising)
    lines: list[str] = []
    watch = Watch(on_epoch=lambda row: lines.append(epoch_line(row)))
    settings = config(transfer={"strategy": "full", "interpolate": [0.25, 0.5], "soup_epochs": 2}, train={"imgsz": 64})
    result = run(settings, watch=watch)
    folder = RunFolder(tmp_path / "run")
    progress = result.progress
    assert [(row["mix"], row["share"]) for row in progress.mixes] == [
        ("greedy soup", 1.0), ("interpolated", 0.25), ("interpolated", 0.5),
    ]  # fmt: skip
    assert (progress.best_mix, progress.best_epoch, progress.best_ap) == (progress.mixes[1], 2, 0.6)
    assert sum(line.startswith("average") for line in lines) == 3
    best, last = tensors(folder.best), tensors(folder.last)
    source = load_weights(Path(settings.model.weights)).tensors
    name = "model.0.conv.weight"
    assert torch.allclose(best[name], torch.lerp(source[name], last[name], 0.25), atol=1e-7)
    # what is told of it
    assert len(folder.read_history()) == 3
    rows = [json.loads(line) for line in folder.history.read_text().splitlines()]
    assert [row.get("share") for row in rows] == [None] * 3 + [1.0, 0.25, 0.5]
    metrics = folder.read_metrics()
    assert metrics["selection"]["candidates"] == 6
    assert metrics["best_average"]["share"] == 0.25
    assert [row["best"] for row in folder.read_transfer()["averages"]] == [False, True, False]
    print_result(result)
    out = capsys.readouterr().out
    assert "0.75 source + 0.25 epoch 2 is the best" in out
    assert "best of 3 epochs and 3 averages of weights on this split" in out
    assert "with 0.75 source + 0.25 epoch 2" in folder.report.read_text()
    assert not folder.scored_epochs.exists()
    # more epochs
    state = torch.load(folder.state, weights_only=True)
    assert torch.equal(state["average"][f"module.{name}"], last[name])
    extended = run(resume_config(folder.path, ["train.epochs=3"]), resume=True)
    assert [row["epoch"] for row in extended.progress.history] == [0, 1, 2, 3]
    assert len(extended.progress.mixes) == 5


def killed_as_it_ends() -> None:
    raise Interrupted(9, Path())


@pytest.mark.slow
def test_run_stopped_among_the_averages__comes_to_the_same(
    config, run, tmp_path: Path, ap_by_weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    ap_by_weights(rising)
    settings = {"transfer": {"strategy": "full", "interpolate": "auto"}, "train": {"imgsz": 64}}
    run(config("whole", **settings))
    true_mix, count = mixing._Mixer.score, [0]

    def killed(self, mix: Mix, state):
        count[0] += 1
        if count[0] == 3:
            raise Interrupted(9, tmp_path)
        return true_mix(self, mix, state)

    monkeypatch.setattr(mixing._Mixer, "score", killed)
    with pytest.raises(Interrupted):
        run(config("cut", **settings))
    monkeypatch.setattr(mixing._Mixer, "score", true_mix)
    run(config("cut", **settings), resume=True)
    # training has ended, and the process is killed before the manifest marks the run as whole
    true_manifest = train_outputs._manifest
    monkeypatch.setattr(train_outputs, "_manifest", lambda *_: killed_as_it_ends())
    monkeypatch.setitem(licences._PACKAGES, "pytest", "pytest")  # what only the first process has loaded
    with pytest.raises(Interrupted):
        run(config("late", **settings))
    monkeypatch.delitem(licences._PACKAGES, "pytest")
    monkeypatch.setattr(train_outputs, "_manifest", true_manifest)
    run(config("late", **settings), resume=True)
    folders = [RunFolder(tmp_path / name) for name in ("whole", "cut", "late")]
    whole = {path: tensors(getattr(folders[0], path)) for path in ("best", "last")}
    for folder in folders[1:]:
        for path, first in whole.items():
            second = tensors(getattr(folder, path))
            assert all(torch.equal(first[name], second[name]) for name in first), path
        assert folder.read_metrics()["selection"] == folders[0].read_metrics()["selection"]
        assert len(folder.history.read_text().splitlines()) == len(folders[0].history.read_text().splitlines())
        assert not folder.scored_epochs.exists()
    ledger = {row["package"] for row in folders[2].read_transfer()["licences_of_code"]}
    assert {"pytest", "torch", "detect-transfer"} <= ledger


def test_epoch_0__stays_the_best_and_only_the_best_epochs_of_each_plan_are_stored(
    config, run, tmp_path: Path, ap_by_weights
) -> None:
    values = {"000000": 0.5, "000001": 0.3, "000002": 0.2, "000003": 0.4, "000004": 0.1}
    ap_by_weights(lambda name: values.get(name, 0.0))
    stored: list[list[int]] = []
    folder = tmp_path / "run" / "weights" / "epochs"
    watch = Watch(on_epoch=lambda row: stored.append(sorted(int(p.stem) for p in folder.glob("*.safetensors"))))
    phases = [{"epochs": 2, "train": ["head"]}, {"epochs": 2, "train": ["head"], "start": "source"}]
    transfer = {"phases": phases, "interpolate": "auto"}
    result = run(config(transfer=transfer, train={"imgsz": 64}), watch=watch)
    assert stored[:5] == [[], [1], [1], [3], [3]]
    assert (result.progress.best_epoch, result.progress.best_mix) == (0, None)
    assert [row["share"] for row in result.progress.mixes] == [0.25, 0.5, 0.75]


def test_mean_of_epochs_of_two_phases__is_scored_as_it_is_and_not_with_stages_of_the_source(
    config, run, ap_by_weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"000000": 0.1, "000001": 0.5, "000002": 0.3}
    ap_by_weights(lambda name: values.get(name, 0.2))
    of_source: dict[str, frozenset[str]] = {}
    call = run_scores.RunScorer.__call__

    def noting(self, module, as_source, name):
        of_source[name] = as_source
        return call(self, module, as_source, name)

    monkeypatch.setattr(run_scores.RunScorer, "__call__", noting)
    phases = [{"epochs": 1, "train": ["head"]}, {"epochs": 1, "train": "all"}]
    transfer = {"phases": phases, "interpolate": [0.5], "soup_epochs": 2}
    result = run(config(transfer=transfer, train={"imgsz": 64}))
    assert [row["epochs"] for row in result.progress.mixes] == [[1, 2], [1]]
    assert "stem" in of_source["000001"]
    assert of_source["mix_000"] == frozenset(), "the second epoch has no stage of the source"
    assert of_source["mix_001"] == of_source["000001"]
