"""The plan of a study: which runs, with which budget and under which keys."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import orjson

from detect_transfer.config import RunConfig, StudyConfig, dump_config, make_config
from detect_transfer.config.study import Search, with_keys
from detect_transfer.core.code_version import code_sha256
from detect_transfer.core.errors import DetectTransferError, InputError, raise_problems
from detect_transfer.core.io import read_bytes, sha256_file, write_atomic
from detect_transfer.core.memory import available_memory
from detect_transfer.core.opening import real_path
from detect_transfer.core.threads import cores
from detect_transfer.evaluation.study.trials import ArmTrials
from detect_transfer.workflows.study.arms import planned_epochs, run_config, wrong_augmentations, wrong_sources
from detect_transfer.workflows.study.data import StudyData, load_study_data
from detect_transfer.workflows.study.folder import NOT_HASHED, StudyFolder
from detect_transfer.workflows.study.launchers import check_launcher
from detect_transfer.workflows.study.other_data import check_matrix, read_other_data
from detect_transfer.workflows.study.trials_file import read_trials

_KEY_LENGTH = 20
_BYTES_A_RUN = 4_000_000_000  # of memory, on the safe side


@dataclass(frozen=True)
class PlannedRun:
    """A run of a study.

    Args:
        key: A hash of its config, its data, its weights and the code: the name of its folder.
        arm: The arm.
        percent: How much of the training set it trains on.
        n_images: How many images that are.
        seed: Its seed.
        epochs: How many epochs it has at most.
        fold: Its fold, from 1 on; None without folds.
    """

    key: str
    arm: str
    percent: float
    n_images: int
    seed: int
    epochs: int
    fold: int | None = None

    @property
    def words(self) -> str:
        """Its arm, size, fold and seed."""
        fold = "" if self.fold is None else f"fold {self.fold}, "
        return f"{self.arm}, {self.n_images} images, {fold}seed {self.seed}"


@dataclass(frozen=True)
class StudyPlan:
    """All runs of a study, arm by arm.

    Args:
        config: The config of the study.
        folder: Where it lies.
        data: The data that all runs share.
        configs: The run config of each arm and size, with the first seed.
        runs: The runs.
        searched: The arms whose rates were searched.
        to_search: Those whose rates are to be searched before they are run.
    """

    config: StudyConfig
    folder: StudyFolder
    data: StudyData
    configs: dict[tuple[str, float], RunConfig]
    runs: tuple[PlannedRun, ...]
    searched: tuple[str, ...] = ()
    to_search: tuple[str, ...] = ()

    @cached_property
    def by_key(self) -> dict[str, PlannedRun]:
        """The run of each key."""
        return {run.key: run for run in self.runs}

    @cached_property
    def jobs(self) -> int:
        """How many runs are done at a time on this machine, a core each at least; one where others do them."""
        study = self.config.study
        if study.launcher != "local":
            return 1
        return _jobs_of(self.config.train.device) if study.jobs is None else min(study.jobs, cores())

    @property
    def fewer_jobs(self) -> str:
        """Why there are fewer than are asked for; "" where there are not."""
        asked = self.config.study.jobs
        if asked is None or self.config.study.launcher != "local" or asked <= self.jobs:
            return ""
        return f"study.jobs asks for {asked:,} runs at a time, and this machine has {cores()} cores: {self.jobs} it is"

    def config_of(self, run: PlannedRun) -> RunConfig:
        """Return the config of a run, whose paths are those of this machine."""
        return self.placed(run, self.configs[run.arm, run.percent])

    def images_seen(self, arm: str, percent: float) -> int:
        """Return how many images the runs of an arm at a size see at most, images that are repeated counted again."""
        run = self.configs[arm, percent]
        return planned_epochs(run) * self.data.n_shown(percent, run.train.class_balance)

    def write_config(self, run: PlannedRun, config: RunConfig) -> None:
        """Write the config that a run is started with, where there is none or another one."""
        path, text = self.folder.run_config(run.key), dump_config(config)
        if not path.is_file() or read_bytes(path) != text.encode():
            write_atomic(path, text)

    def placed(self, run: PlannedRun, config: RunConfig) -> RunConfig:
        """Return a config with the data, the seed and the folder of a run."""
        split_file = real_path(self.folder.split_file(run.percent, run.fold))
        return config.model_copy(
            update={
                "data": config.data.model_copy(update={"split_file": split_file}),
                "train": config.train.model_copy(update={"seed": run.seed}),
                "out": real_path(self.folder.run(run.key).path),
            }
        )


def _jobs_of(device: str) -> int:
    """Return how many runs at a time use this machine best.

    Much of a run has one thread however many it may use, so that several with one each end sooner than one after
    another with all of them.
    """
    from detect_transfer.models.device import choose_device

    if choose_device(device).type != "cpu":
        return 1
    return max(1, min(cores(), available_memory() // _BYTES_A_RUN))


def make_study_plan(
    config: StudyConfig, folder: StudyFolder, *, on_stage: Callable[[str], None] = lambda _: None
) -> StudyPlan:
    """Read the data, choose their parts, and resolve every run; drawn scenes are drawn once.

    Raises:
        InputError: An arm is wrong, cannot use the budget, or cannot be compared with the others.
        ResourceError: Weights are missing.
    """
    _check_arms(config)
    check_launcher(config.study.launcher, config.study.launcher_options)
    _, others = read_other_data(config.study)  # what cannot be read is said before anything is trained
    data = load_study_data(config, folder, on_stage=on_stage)
    check_matrix(config.study, others, data)
    configs, problems = {}, []
    searched_rates = {arm: _found_rates(config, folder, data, arm) for arm in config.study.arms}
    searched_rates |= {timed: searched_rates[arm] for timed, arm in config.study.timed.items()}
    for arm in (*config.study.arms, *config.study.timed):
        for percent in config.study.sizes:
            try:
                configs[arm, percent] = run_config(config, data, arm, percent, searched_rates[arm] or {})
            except DetectTransferError as error:
                problems.append(error)
                break  # the same at every size
    names = data.splits[0].val.class_names
    raise_problems([*problems, *wrong_augmentations(configs, names), *wrong_sources(configs, names)])
    runs = keyed_runs(config, data, configs)
    _refuse_equal_arms(runs)
    trained = {run.arm for run in runs if run.epochs} if config.study.search is not None else set()
    searched = tuple(arm for arm in config.study.arms if arm in trained and searched_rates[arm] is not None)
    to_search = tuple(arm for arm in config.study.arms if arm in trained and searched_rates[arm] is None)
    return StudyPlan(config, folder, data, configs, runs, searched, to_search)


def question_of(config: StudyConfig, data: StudyData, arm: str) -> str:
    """Return a hash of all that the search of an arm depends on."""
    search = config.study.search
    assert search is not None
    keys = {name: value for name, value in config.keys_of(arm).items() if name not in ("data", "track")}
    facts = {
        "keys": keys,
        "budget": config.study.budget,
        "search": search.model_dump(mode="json", exclude={"trials"}),  # more trials go on with those that were made
        "data": data.sha256(search.percent),
        "code": code_sha256(),
    }
    return hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_KEY_LENGTH]


def _found_rates(config: StudyConfig, folder: StudyFolder, data: StudyData, arm: str) -> dict[str, float] | None:
    """Return the keys that the search of an arm found; None where it is not done."""
    path = folder.trials(arm)
    if config.study.search is None or not path.is_file():
        return None
    question, trials = read_trials(path)
    is_whole = len(trials) == config.study.search.trials
    return dict(ArmTrials(arm, trials).best.keys) if is_whole and question == question_of(config, data, arm) else None


def _check_arms(config: StudyConfig) -> None:
    """Check the keys of every arm before any data are read."""
    problems: list[DetectTransferError] = []
    for arm in config.study.arms:
        for rates in _tried(config.study.search):
            try:
                make_config(with_keys(config.keys_of(arm), rates), where=f"study.arms.{arm}")
            except DetectTransferError as error:
                problems += getattr(error, "problems", (error,))
                break  # mostly the same with other rates
    raise_problems(problems)


def _tried(search: Search | None) -> list[dict[str, float]]:
    """Return rates that a search may propose: both ends, and between them what is no whole number."""
    if search is None:
        return [{}]
    values = {key: (low, high, low * (high / low) ** (1 / math.e)) for key, (low, high) in search.rates.items()}
    return [{key: of_key[i] for key, of_key in values.items()} for i in range(3)]


def keyed_runs(
    config: StudyConfig, data: StudyData, configs: Mapping[tuple[str, float], RunConfig]
) -> tuple[PlannedRun, ...]:
    """Return a run for each arm, size, fold and seed, with its key."""
    sizes = {percent for _, percent in configs}
    data_sha256 = {(percent, fold): data.sha256(percent, fold) for percent in sizes for fold in data.folds}
    weights = {name: _weights_sha256(name) for name in {run.model.weights for run in configs.values()}}
    runs = []
    for (arm, percent), run in configs.items():
        facts = run.model_dump(mode="json", exclude={"data", "out", "track"})
        facts["train"] = {k: v for k, v in facts["train"].items() if k not in NOT_HASHED | {"seed"}}
        facts["model"]["weights"] = weights[run.model.weights]
        n_images, epochs = data.n_images(percent), planned_epochs(run)
        for fold in data.folds:
            facts |= {"data": data_sha256[percent, fold], "code": code_sha256()}
            digest = hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS))
            for seed in config.study.seeds:
                of_seed = digest.copy()
                of_seed.update(f"\0{seed}".encode())
                key = of_seed.hexdigest()[:_KEY_LENGTH]
                runs.append(PlannedRun(key, arm, percent, n_images, seed, epochs, fold))
    return tuple(runs)


def _weights_sha256(name: str) -> str:
    """Return the hash of the file of weights; a file is hashed once for all arms that start from it."""
    if name == "scratch":
        return name
    from detect_transfer.models.hub import find_weights

    return sha256_file(find_weights(name))


def _refuse_equal_arms(runs: tuple[PlannedRun, ...]) -> None:
    arm_of: dict[str, str] = {}
    for run in runs:
        other = arm_of.setdefault(run.key, run.arm)
        if other != run.arm:
            raise InputError(
                "STUDY_ARMS",
                f"the arms '{other}' and '{run.arm}' are the same runs",
                field="study.arms",
                value=run.arm,
                remedy="leave one of the two out",
            )
