"""The plan of a study: runs and their keys, the shared parts of the data, budgets, and arms that cannot be compared."""

import json
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from detect_transfer.config import StudyConfig, load_config, make_config_of
from detect_transfer.core.errors import InputError
from detect_transfer.training.sampler import EpochBatches
from detect_transfer.training.samples import TrainSamples, repeat_factors
from detect_transfer.workflows.study import data as study_data
from detect_transfer.workflows.study import plan as study_plan
from detect_transfer.workflows.study.arms import planned_epochs
from detect_transfer.workflows.study.cost import cost_of
from detect_transfer.workflows.study.folder import StudyFolder, load_study, refuse_less
from detect_transfer.workflows.study.init import init_study
from detect_transfer.workflows.study.plan import StudyPlan, make_study_plan
from detect_transfer.workflows.study.source import source_facts
from detect_transfer.workflows.study.words import EndedRuns, facts_of, not_tested


@pytest.fixture
def make_plan(tiny_data: Path, tmp_path: Path):
    """Return what plans a study of the tiny data; keys of the study and of its runs can be given."""

    def _make(study: dict[str, Any], **parts: Any) -> StudyPlan:
        study = {"arms": ["scratch", "full"], "sizes": [50, 100], "held_out": 0.3, **study}
        content = {"data": {"path": str(tiny_data)}, "model": {"weights": "embedded"}, "study": study, **parts}
        config = make_config_of(StudyConfig, content)
        return make_study_plan(config, StudyFolder(tmp_path / "store"))

    return _make


def test_runs__are_every_arm_at_every_size_with_every_seed_on_the_same_images(make_plan) -> None:
    plan = make_plan({"arms": ["scratch", "head_only", "full", "auto"]})
    assert len(plan.runs) == len(plan.by_key) == 4 * 2 * 3
    assert {run.n_images for run in plan.runs} == {7, 14}
    small, whole = (plan.data.document(p)["splits"] for p in (50.0, 100.0))
    assert set(small["train"]) < set(whole["train"])
    assert small["test"] == whole["test"]
    assert small["val"] == whole["val"]
    assert not set(whole["train"]) & set(whole["test"])
    assert len(small["test"]) == 6
    assert "6 of 20 training images are held out" in plan.data.notes[0]


def test_keys__change_with_what_a_run_computes_and_with_nothing_else(make_plan, monkeypatch) -> None:
    first = {run.key for run in make_plan({}).runs}
    assert {run.key for run in make_plan({"jobs": 2, "margin": 0.02}, train={"workers": 3}).runs} == first
    assert {run.key for run in make_plan({"seeds": [0, 1, 2, 3]}).runs} > first
    assert {run.key for run in make_plan({"sizes": [50, 70, 100]}).runs} > first
    assert not {run.key for run in make_plan({}, train={"batch": 4}).runs} & first
    assert not {run.key for run in make_plan({}, evaluate={"score_floor": 0.01}).runs} & first
    monkeypatch.setattr(study_plan, "code_sha256", lambda: "other code")
    assert not {run.key for run in make_plan({}).runs} & first


@pytest.mark.parametrize("given", [{}, {"train_images": 0}, {"train_images": 12}])
def test_training_images__are_scored_as_the_config_says(make_plan, given: dict[str, int]) -> None:
    plan = make_plan({}, evaluate=given)
    scored = {config.evaluate.train_images for config in plan.configs.values()}
    assert scored == {given.get("train_images", 64)}
    fewest, as_given = make_plan({}, evaluate={"train_images": 0}), plan
    more = cost_of(as_given, as_given.runs, {}).seconds - cost_of(fewest, fewest.runs, {}).seconds
    assert (more > 0) == (scored != {0})


def test_key__changes_with_the_weights_and_the_data(make_plan, tiny_data: Path, tmp_path: Path) -> None:
    first = {run.key for run in make_plan({}).runs}
    shutil.copytree(tiny_data, tmp_path / "data")
    moved = make_plan({}, data={"path": str(tmp_path / "data")})
    assert {run.key for run in moved.runs} == first  # the same data elsewhere are the same runs
    edited = {"path": str(tmp_path / "data"), "format": "coco"}  # which is compared with no manifest
    assert {run.key for run in make_plan({}, data=edited).runs} == first
    path = tmp_path / "data" / "annotations" / "instances_val.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"][2] -= 0.5
    path.write_text(json.dumps(content))
    assert not {run.key for run in make_plan({}, data=edited).runs} & first


def test_config_of_a_run__is_one_that_train_takes(make_plan, tmp_path: Path) -> None:
    from detect_transfer.config import dump_config

    plan = make_plan(
        {"arms": {"mine": {"transfer": {"class_map": {"stop": "no_entry"}}, "train.imgsz": 96}, "full": {}}}
    )
    run = next(run for run in plan.runs if (run.arm, run.percent, run.seed) == ("mine", 50.0, 2))
    (tmp_path / "run.yaml").write_text(dump_config(plan.config_of(run)))
    config = load_config(tmp_path / "run.yaml")
    assert (config.train.seed, config.train.imgsz.plain, config.data.test_split) == (2, 96, "test")
    assert config.out == (tmp_path / "store" / "runs" / run.key).resolve()


@pytest.mark.parametrize(("budget", "epochs"), [("epochs", {50.0: 6, 100.0: 6}), ("images", {50.0: 12, 100.0: 6})])
def test_budget__is_the_same_number_of_images_for_every_arm(make_plan, budget: str, epochs: dict[float, int]) -> None:
    arms = ["full", "auto", "gradual", "head_then_full", "epoch0"]
    mine = {"transfer": {"phases": [{"epochs": 1, "train": ["head"]}, {"epochs": 2}]}}
    plan = make_plan({"arms": {**{name: {} for name in arms}, "mine": mine}, "budget": budget}, train={"epochs": 6})
    for run in plan.runs:
        config = plan.config_of(run)
        assert planned_epochs(config) == run.epochs == (0 if run.arm == "epoch0" else epochs[run.percent]), run
    then = plan.configs["mine", 100.0].transfer.phases
    assert [phase.epochs for phase in then] == [2, 4]


@pytest.mark.parametrize(
    ("study", "parts", "message"),
    [
        ({"arms": ["auto"]}, {"train": {"epochs": 1}}, "STUDY_BUDGET study.arms.auto - .*raise train.epochs"),
        ({"arms": ["ful"]}, {}, "the arm 'ful' changes nothing and is no strategy"),
        ({"arms": {"": {"train.lr": 0.1}}}, {}, "an arm of study.arms has no name"),
        ({"arms": {"x": {"data.val_split": "train"}}}, {}, "'x' cannot be compared if it changes data.val_split"),
        ({"arms": {"x": {"train.seed": 3}}}, {}, "'x' cannot be compared if it changes train.seed"),
        ({"arms": {"x": {"transfer.budget": 1}}}, {}, "'x' cannot be compared if it changes transfer.budget"),
        ({"arms": {"x": {"train.imgzs": 3}}}, {}, r"CONFIG_KEY study.arms.x train.imgzs - .*did you mean .*imgsz"),
        ({"arms": {"x": {"transfer.strategy": "full"}, "full": {}}}, {}, "STUDY_ARMS study.arms=full - .* same runs"),
        ({"arms": {"x": {"augment": [{"Blurr": {}}]}}}, {}, r"AUGMENT_\w+ study.arms.x .*Blurr.* did you mean"),
        (
            {"arms": {"x": {"mirror.pairs": {"stopp": "no_entry"}}}},
            {},
            r"CLASS_UNKNOWN study.arms.x .*mirror.pairs=stopp",
        ),
        (
            {"arms": {"x": {"transfer.keep_source_classes": ["circle"]}}},
            {},
            "CLASS_UNKNOWN study.arms.x transfer.keep_source_classes=circle - there is no such source class",
        ),
        (
            {"arms": {"x": {"transfer.class_map": {"stopp": "no_entry"}}}},
            {},
            r"CLASS_UNKNOWN study.arms.x transfer.class_map=stopp - .*did you mean 'stop'",
        ),
        (
            {"arms": {"x": {"model.arch": "yolo26n"}}},
            {},
            r"WEIGHTS_ARCH study.arms.x \(.*\) model.arch=yolo26n - the weights are",
        ),
        (
            {"arms": {"x": {"train.lr": 0.1}, "full": {}}, "search": {"rates": {"train.lr": [1e-4, 1e-2]}}},
            {},
            "the arm 'x' gives train.lr itself, which study.search looks for",
        ),
        ({"baseline": "none"}, {}, "study.baseline is none of the arms"),
        ({"seeds": [1, 1]}, {}, "stands twice in study.seeds"),
        ({"sizes": [4, 100]}, {}, r"STUDY_CLASSES study.sizes=4.0 - 4 % of the training images \(1\) have no object"),
        ({"sizes": [99, 100]}, {}, "STUDY_SIZES study.sizes=100.0"),
        ({"held_out": 0.01}, {}, "STUDY_TEST study.held_out=0.01 - the data have no test split, and none can be held"),
    ],
)
def test_study_that_compares_nothing__is_refused_with_the_reason(make_plan, study, parts, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_plan(study, **parts)


def test_scratch__takes_nothing_that_means_something_with_a_source_alone(make_plan) -> None:
    plan = make_plan({}, transfer={"class_map": {"stop": "no_entry"}, "pull_to_source": 0.1})
    assert plan.configs["scratch", 100.0].transfer.class_map == "auto"
    assert plan.configs["full", 100.0].transfer.pull_to_source == 0.1


def test_arm_named_like_a_strategy__is_that_strategy_with_the_keys_it_changes(make_plan) -> None:
    phases = [{"epochs": 1, "train": ["head"]}]
    arms = {
        "scratch": {"train.lr": 0.01},
        "head_only": {"transfer": {"keep_score": 0.4}},
        "full": {"transfer.phases": phases},
    }
    plan = make_plan({"arms": {**arms, "auto": {"transfer.strategy": "gradual"}, "other": {"train.lr": 0.1}}})
    of = {arm: config.transfer for (arm, _), config in plan.configs.items()}
    assert {arm: transfer.strategy for arm, transfer in of.items()} == {
        **{"scratch": "scratch", "head_only": "head_only", "full": None, "auto": "gradual", "other": None},
    }
    assert plan.configs["scratch", 100.0].train.lr == 0.01
    assert of["full"].phases is not None


def test_data_that_the_study_made__are_not_taken_for_other_data(make_plan, tmp_path: Path) -> None:
    def drawn(n: int, **data: Any) -> dict[str, Any]:
        return {"synthetic": {"train_images": n, "val_images": 12, "size": 64}, **data}

    first = make_plan({"sizes": [100]}, data=drawn(30))
    assert make_plan({"sizes": [100]}, data=drawn(30)).runs == first.runs
    with pytest.raises(InputError, match=r"STUDY_DATA .* data - .*\(data changed\).*remove"):
        make_plan({"sizes": [100]}, data=drawn(40))
    with pytest.raises(InputError, match=r"SPLIT_SHARED .* data.test_split"):
        make_plan({"sizes": [100]}, data=drawn(30, test_split="val"))
    shutil.rmtree(tmp_path / "store" / "data")
    assert make_plan({"sizes": [100]}, data=drawn(40)).runs[0].n_images > first.runs[0].n_images


def test_source_of_the_data__is_known_by_annotations_and_images(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1234")
    (tmp_path / "a.txt").write_text("0 .5 .5 .1 .1")
    config = make_config_of(StudyConfig, {"data": {"path": str(tmp_path)}, "study": {"arms": ["full"]}})
    first = source_facts(config)
    (tmp_path / "a.txt").write_text("1 .5 .5 .1 .1")
    second = source_facts(config)
    (tmp_path / "b.jpg").write_bytes(b"1")
    assert len({first["files"], second["files"], source_facts(config)["files"]}) == 3


@pytest.mark.slow
def test_hundred_thousand_runs__are_planned_within_a_minute(make_plan) -> None:
    started = time.process_time()
    plan = make_plan({"arms": {f"a{i}": {"train.lr": 0.001 + i * 1e-6} for i in range(100)}, "seeds": [*range(500)]})
    assert len(plan.by_key) == 100_000
    assert time.process_time() - started < 60


def test_jobs__are_a_run_a_core_of_a_cpu_as_far_as_the_memory_goes(make_plan, monkeypatch) -> None:
    monkeypatch.setattr(study_plan, "cores", lambda: 8)
    for free, jobs in ((100e9, 8), (13e9, 3), (1e9, 1)):
        monkeypatch.setattr(study_plan, "available_memory", lambda free=free: int(free))
        assert make_plan({}, train={"device": "cpu"}).jobs == jobs
    assert make_plan({"jobs": 5}).jobs == 5
    assert make_plan({"launcher": "slurm"}).jobs == 1
    many = make_plan({"jobs": 100_000})
    assert (many.jobs, make_plan({"jobs": 8}).fewer_jobs) == (8, "")
    assert many.fewer_jobs == "study.jobs asks for 100,000 runs at a time, and this machine has 8 cores: 8 it is"
    monkeypatch.setattr("detect_transfer.models.device.choose_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(study_plan, "available_memory", lambda: int(100e9))
    assert make_plan({}).jobs == 1


def test_cost__of_what_was_measured_has_the_start_of_a_run_too(make_plan) -> None:
    plan = make_plan({"seeds": [0, 1]})
    done = {run.key: 100.0 for run in plan.runs if run.seed == 0}
    left = [run for run in plan.runs if run.seed == 1]
    cost = cost_of(plan, left, done)
    assert cost.measured == len(left)
    assert 1.1 * 100 * len(left) < cost.seconds < 1.5 * 100 * len(left)


def test_init__writes_a_study_that_can_be_planned(tiny_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    init_study(tiny_data, path, weights="embedded")
    config, folder = load_study(path)
    assert config.study.sizes == [100]
    assert folder.path == Path("studies/mine")
    assert re.search(r"# Data: +\d+ training, 18 validation and \d test images, 6 classes", path.read_text())
    with pytest.raises(InputError, match="OUT_EXISTS"):
        init_study(tiny_data, path)


def test_init__in_another_folder_names_the_data_and_itself_so_that_both_are_met(
    tiny_data: Path, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "home" / "my studies").mkdir(parents=True)
    (tmp_path / "mine").symlink_to(tiny_data)
    monkeypatch.chdir(tmp_path)
    path = Path("home", "my studies", "s.yaml")
    init_study(Path("mine"), path, weights="embedded")
    assert "study plan 'home/my studies/s.yaml'" in path.read_text()
    monkeypatch.chdir(tmp_path / "home")
    assert load_study(Path("my studies", "s.yaml"))[0].data.path == tmp_path / "mine"


@pytest.mark.parametrize(
    ("weights", "code"),
    [("nowhere.pt", "WEIGHTS_MISSING"), ("yolo11nn", "WEIGHTS_UNKNOWN"), ("scratch", "STUDY_WEIGHTS")],
)
def test_init__from_weights_that_are_not_there_writes_nothing(tiny_data: Path, tmp_path: Path, weights, code) -> None:
    with pytest.raises(InputError, match=f"{code}.*{weights}"):
        init_study(tiny_data, tmp_path / "mine.yaml", weights=weights)
    assert not (tmp_path / "mine.yaml").exists()


def test_arm_that_is_added_on_the_command_line__drops_no_other(tiny_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"data: {{path: {tiny_data}}}\nstudy: {{arms: [scratch, full]}}\n")
    with pytest.raises(InputError, match=r"CONFIG_OVERRIDE .*arms is a list there.*; give all of study.arms, or"):
        load_study(path, ("study.arms.new={train.lr: 0.1}",))
    path.write_text(f"data: {{path: {tiny_data}}}\nstudy: {{arms: {{scratch: {{}}, full: {{}}}}}}\n")
    assert list(load_study(path, ("study.arms.new={train.lr: 0.1}",))[0].study.arms) == ["scratch", "full", "new"]


def test_folds__test_every_image_once_and_cut_no_group(make_plan) -> None:
    plan = make_plan({"folds": 3, "sizes": [100], "seeds": [0, 1]})
    documents = [plan.data.document(100.0, fold)["splits"] for fold in plan.data.folds]
    tested = [name for splits in documents for name in splits["test"]]
    assert len(tested) == len(set(tested)) == plan.data.n_test == 38
    for splits in documents:
        assert sorted(splits["train"] + splits["val"] + splits["test"]) == sorted(tested)
    assert len(plan.runs) == len(plan.by_key) == 2 * 3 * 2
    assert plan.config_of(plan.runs[2]).data.split_file.name == "train_100_fold_2.json"
    assert "3 folds of 38 training and validation images" in plan.data.notes[0]
    with pytest.raises(InputError, match=r"STUDY_FOLDS .* do not fill 20 folds"):
        make_plan({"folds": 20, "sizes": [100]}, data={"synthetic": {"train_images": 8, "val_images": 8, "size": 64}})
    with pytest.raises(InputError, match=r"study.folds tests every image once, and data.test_split names a split"):
        make_plan({"folds": 3}, data={"path": "x", "test_split": "test"})


def test_seconds__train_every_arm_a_second_time_for_as_long(make_plan) -> None:
    plain = make_plan({"sizes": [100]}, train={"epochs": 3})
    plan = make_plan({"sizes": [100], "seconds": 30}, train={"epochs": 3})
    assert {run.key for run in plan.runs} > {run.key for run in plain.runs}
    assert len(plan.runs) == 2 * len(plain.runs)
    timed = plan.configs["full, 30 s", 100.0]
    assert (timed.transfer.budget, plan.configs["full", 100.0].transfer.budget) == (0.5, None)
    assert planned_epochs(timed) > planned_epochs(plan.configs["full", 100.0])
    with pytest.raises(InputError, match="an arm is named as those with equal seconds are"):
        make_plan({"arms": {"full": {}, "full, 30 s": {"train.lr": 0.1}}, "seconds": 30})


@pytest.mark.parametrize(
    ("launcher", "options", "line"),
    [
        (
            "local",
            {"timeout_min": 3},
            r"LAUNCHER_OPTION study.launcher_options=\['timeout_min'\] - .*study.launcher=slurm",
        ),
        (
            "slurm",
            {"slurm_partitoin": "gpu"},
            r"LAUNCHER_OPTION study.launcher_options - .*'partitoin'.*; see the param",
        ),
        ("slurm", {"moon": 1}, r"LAUNCHER_OPTION study.launcher_options - .*'moon'.*; see"),
        ("slurm", {"timeout_min": "two"}, r"LAUNCHER_OPTION study.launcher_options - .*timeout_min.*two.*; see"),
        ("slurm", {"cluster": "moon"}, r"LAUNCHER_OPTION study.launcher_options.cluster - slurm or local .*'moon'"),
    ],
)
def test_options_of_a_launcher__are_checked_before_anything_is_run(make_plan, launcher, options, line) -> None:
    if launcher == "slurm":
        pytest.importorskip("submitit")
    with pytest.raises(InputError, match=line):
        make_plan({"launcher": launcher, "launcher_options": options})


@pytest.mark.parametrize("options", [{"slurm_partition": "gpu", "timeout_min": 120}, {"cluster": "local"}, {}])
def test_options_that_submitit_takes__are_taken(make_plan, options) -> None:
    pytest.importorskip("submitit")
    assert make_plan({"launcher": "slurm", "launcher_options": options}).jobs == 1


def test_budget__is_that_of_the_whole_training_set_whatever_the_sizes(make_plan) -> None:
    small = make_plan({"sizes": [50]}, train={"epochs": 6})
    assert {run.epochs for run in small.runs} == {12}
    assert small.by_key.keys() < make_plan({"sizes": [50, 100]}, train={"epochs": 6}).by_key.keys()


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["study.seeds=[0,1,2,3]", "study.sizes=[50,70,100]", "study.arms.auto={}"], []),
        (["data.path=elsewhere", "train.workers=2", "study.margin=0.02", "study.targets=[0.5]", "study.jobs=1"], []),
        (["study.seeds=[0]"], [r"seeds that would be dropped: 1, 2; give study.seeds=\[0, 1, 2\]"]),
        (["study.seeds=[3]"], [r"dropped: 0, 1, 2; give study.seeds=\[0, 1, 2, 3\]"]),
        (["study.sizes=[100]"], [r"sizes that would be dropped: 50.0; give study.sizes=\[50, 100\]"]),
        (["study.arms={full: {}}"], [r"arms that would be dropped: scratch; add an arm as study.arms.NAME="]),
        (["study.arms.full={train.lr: 0.1}"], [r"arms that would be dropped: full;"]),
        (["train.epochs=7", "augment=none"], ["STUDY_EXTEND augment=none", "STUDY_EXTEND train.epochs=7 - no run of"]),
        (["study.held_out=0.4", "study.budget=epochs"], ["study.budget=epochs", "study.held_out=0.4"]),
    ],
)
def test_study__is_extended_by_more_and_not_by_less(tiny_data: Path, tmp_path: Path, words, messages) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"data: {{path: {tiny_data}}}\nstudy: {{arms: {{scratch: {{}}, full: {{}}}}, sizes: [50, 100]}}\n")
    before, after = load_study(path)[0], load_study(path, tuple(words))[0]
    if not messages:
        return refuse_less(before, after)
    with pytest.raises(InputError) as error:
        refuse_less(before, after)
    lines = str(error.value).splitlines()
    assert len(lines) == len(messages)
    for line, message in zip(lines, messages, strict=True):
        assert re.search(message, line), line


def test_budget__counts_the_images_that_an_epoch_repeats(make_plan, monkeypatch) -> None:
    monkeypatch.setattr(study_data, "repeat_factors", lambda samples: np.full(len(samples), 1.3))
    arms = {"full": {}, "fair": {"transfer.strategy": "full", "train.class_balance": "repeat"}}
    plan = make_plan({"arms": arms}, train={"epochs": 6})
    epochs = {(run.arm, run.percent): run.epochs for run in plan.runs}
    assert epochs == {("full", 50.0): 12, ("full", 100.0): 6, ("fair", 50.0): 9, ("fair", 100.0): 4}
    seen = {pair: plan.images_seen(*pair) for pair in plan.configs}
    assert seen == {("full", 50.0): 84, ("full", 100.0): 84, ("fair", 50.0): 81, ("fair", 100.0): 72}
    (sentence,) = (s for s in not_tested(plan, EndedRuns((), (), ())) if "budget" in s)
    assert sentence.startswith("Some arms cannot fill the budget and see as little of it as: fair 86%.")
    with pytest.raises(InputError, match=r"STUDY_BUDGET study.arms.fair - .* 1 epoch: an epoch shows 18 images .* 14;"):
        make_plan({"arms": arms, "budget": "epochs", "sizes": [100]}, train={"epochs": 1})


def test_images_of_an_epoch__are_those_that_training_shows(make_plan) -> None:
    plan = make_plan({"sizes": [100]})
    (split,) = plan.data.splits
    rare = split.train.boxes["category_id"].min()
    first = split.train.boxes.filter(pl.col("category_id") == rare)["image_id"].head(1)
    boxes = split.train.boxes.filter((pl.col("category_id") != rare) | pl.col("image_id").is_in(first.implode()))
    few = replace(split, train=replace(split.train, boxes=boxes))
    data = replace(plan.data, splits=(few,))
    samples = TrainSamples(few.train.select_images(few.parts[100.0]), data.paths)
    factors = repeat_factors(samples, frequent=0.9)
    batches = EpochBatches(factors, batch=4, seed=0)
    assert sum(map(len, batches)) == round(factors.sum()) > len(samples)
    assert data.n_shown(100.0, "repeat") == sum(map(len, EpochBatches(repeat_factors(samples), batch=4, seed=0)))
    assert data.n_shown(100.0, "weights") == data.n_images(100.0) == len(samples)


def test_batch__of_every_arm_stands_in_the_report(make_plan) -> None:
    plan = make_plan({"arms": {"full": {}, "small": {"transfer.strategy": "full", "train.batch": 4}}})
    assert facts_of(plan, EndedRuns((), (), ()))["Input"] == "640 px, batch 4 or 16"


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ({"x": {"transfer": {"strategy": "full"}, "transfer.strategy": "auto"}}, "has the key transfer.strategy twice"),
        ({"x": {"train.lr": 0.1, "train": {"lr": 0.2}}}, "has the key train.lr twice"),
        (["full", "scratch", "full"], "a name stands twice in study.arms"),
    ],
)
def test_arm_that_contradicts_itself__is_refused(make_plan, arms: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_plan({"arms": arms})


def test_other_data__are_not_named_as_the_test_images_are(make_plan, tmp_path: Path) -> None:
    matrix = {"its own test images": {"path": str(tmp_path)}}
    with pytest.raises(InputError, match=r"STUDY_MATRIX study.matrix.its own test images - .* another name"):
        make_plan({"matrix": matrix})


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"train.lr": [0.1, 20]}, "CONFIG_VALUE study.arms.full train.lr=20.0 - "),
        ({"train.batch": [1, 16]}, "CONFIG_VALUE study.arms.full train.batch=2.77.* - a whole number"),
        ({"train.epochs": [1, 4]}, "arms cannot be compared that differ in it"),
        ({"transfer.new_class_lr_factor": [1, 200]}, "transfer.new_class_lr_factor=200.0"),
    ],
)
def test_rates_that_no_run_takes__are_refused_before_the_search(make_plan, rates, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_plan({"search": {"rates": rates}})
