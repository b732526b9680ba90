"""The config of a study: a run config with one part more, which says what is compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from detect_transfer.config.parts import Evaluate, RunConfig
from detect_transfer.config.strict import Positive, Rate, Strict
from detect_transfer.config.transfer import StrategyName

NAMED_ARMS: dict[str, dict[str, Any]] = {name: {"transfer.strategy": name} for name in get_args(StrategyName)}
_PARTS = ("model", "transfer", "train", "mirror")  # parts of the config that an arm may give as a mapping
_OF_THE_SOURCE = ("class_map", "keep_source_classes", "pull_to_source")
_SAME_FOR_ALL = {
    "data": "all arms are trained on the same subsets and scored on the same images",
    "evaluate": "all arms are scored in the same way",
    "out": "a run lies in the store of the study",
    "study": "an arm changes keys of its runs",
    "train.seed": "every arm has the seeds of study.seeds",
    "train.epochs": "all arms have the same budget, which train.epochs of the study gives",
    "transfer.budget": "all arms have the same minutes, which transfer.budget of the study gives",
}


class OtherData(Strict):
    """Data that finished runs are scored on, besides the test images of the study."""

    path: Path
    """Any format that `evaluate` reads as truth."""
    format: str | None = None
    """A format that `convert` knows; without it the one that shows."""
    split: str | None = None
    """The split to score, or `all`; without it the only one, else `val`, else `test`; all of a COCO file."""
    images: Path | None = None
    """The folder of the images, for formats whose annotations travel without them."""


class MatrixData(OtherData):
    """Another data set that finished runs are scored on."""

    class_map: dict[str, str | list[str]] = Field(default_factory=dict)
    """Which classes of the study a class of these data is, where names differ; classes that meet none are left out."""


class Forgetting(Strict):
    """Whether the runs still know the classes of the source that they were to keep."""

    data: OtherData
    """Data of the source task. Those of `transfer.keep_source_classes` are scored that the data of the study lack."""
    coefficients: Annotated[list[Rate], Field(min_length=1)] = Field(default_factory=lambda: [0.25, 0.5, 0.75, 1.0])
    """Shares of the tuned weights, in (0, 1], at which weights between source and tuned are scored on both tasks."""


class Search(Strict):
    """A search for the rates of each arm before its runs, by Optuna; chosen on the validation images."""

    trials: Annotated[int, Field(ge=2, le=200)] = 8
    """Trials of every arm that trains."""
    rates: Annotated[
        dict[str, tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]], Field(min_length=1)
    ] = Field(default_factory=lambda: {"train.lr": (1e-4, 1e-2)})
    """Keys of a run and the ends between which their values are drawn, evenly in the logarithm."""
    percent: Annotated[float, Field(gt=0, le=100)] = 30.0
    """Percent of the training images that trials are trained on."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the proposals and of the runs of the trials."""

    @model_validator(mode="after")
    def _between(self) -> Search:
        for key, (low, high) in self.rates.items():
            if low >= high:
                raise ValueError(f"study.search.rates.{key}: the first end must be below the second")
            if any(name in _SAME_FOR_ALL for name in (key, key.partition(".")[0])):
                raise ValueError(f"study.search.rates.{key}: arms cannot be compared that differ in it")
        return self


class Study(Strict):
    """What a study compares: arms, at several sizes of the training set, with several seeds."""

    arms: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]
    """Name of each arm, and the keys of the config that it changes, such as `{transfer.strategy: full}`. An arm that is
    named like a strategy is that strategy, unless it gives another or phases; a list of such names will do."""
    sizes: Annotated[list[Annotated[float, Field(gt=0, le=100)]], Field(min_length=1)] = Field(
        default_factory=lambda: [10.0, 30.0, 100.0]
    )
    """Percent of the training images: every smaller part lies in every larger one, is stratified by class, cuts no
    group, and is the same for all arms."""
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**63)]], Field(min_length=1)] = Field(
        default_factory=lambda: [0, 1, 2]
    )
    """Seeds of every arm at every size; with fewer than three every verdict is `cannot tell`."""
    baseline: str | None = None
    """The arm that the others are compared with; without it `scratch`, else the first."""
    budget: Literal["images", "epochs"] = "images"
    """What `train.epochs` counts: with `images` every run sees as many as that many epochs of the whole training set
    are, so that small parts are not trained too little; with `epochs` it has that many epochs of its part. All arms see
    equally many images at a size either way; the epochs of phases are shares of that."""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """Equal time besides equal images: every arm is also trained for so many seconds a run, scoring counted, however
    many images it sees in them, and compared with the runs of the baseline that had as many."""
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Differences of AP up to this are called the same."""
    targets: list[Annotated[float, Field(gt=0, lt=1)]] = Field(default_factory=list)
    """AP whose images and time are reported; without it what the baseline and the best arm reach."""
    held_out: Annotated[float, Field(gt=0, lt=0.9)] = 0.2
    """Share of the training images that nothing is chosen by, for the verdict, where the data have no test split."""
    folds: Annotated[int, Field(ge=3, le=20)] | None = None
    """Where data are few: so many folds of the training and validation images, each tested once by runs of every arm
    and seed that train on the others and choose the best epoch on one of these. No group of images is cut."""
    forgetting: Forgetting | None = None
    """Score the runs of the largest size on the source task too, before, after and in between."""
    matrix: dict[str, MatrixData] = Field(default_factory=dict)
    """Names of other data sets, which the runs of the largest size are scored on too."""
    search: Search | None = None
    """Search the rates of each arm first; without it they are those of the config."""
    jobs: Positive | None = None
    """Runs at a time on this machine, no more than it has cores, which they share; without it one a core where they
    train on a CPU, each with 4 GB of the memory that is free, else one."""
    launcher: Literal["local", "slurm", "ray"] = "local"
    """Where runs are done: in processes of this machine, as jobs of Slurm by submitit, or as tasks of Ray. All write to
    the folder of the study, which every machine must see."""
    launcher_options: dict[str, Any] = Field(default_factory=dict)
    """Slurm: what submitit takes, such as `{slurm_partition: gpu, timeout_min: 120}`; `{cluster: local}` tries it here.
    Ray: `address`, and options of a task, such as `{num_gpus: 0.5, max_retries: 3}`."""
    keep_state: bool = False
    """Keep of a finished run what it would need to train on; it is most of its size."""

    @field_validator("arms", mode="before")
    @classmethod
    def _named(cls, arms: Any) -> Any:
        """Take a list of names as arms that change nothing, and a mapping of a part as keys of it."""
        if isinstance(arms, list):
            names = [str(name) for name in arms]
            if len(set(names)) < len(names):
                raise ValueError("a name stands twice in study.arms")
            arms = {name: {} for name in names}
        if not isinstance(arms, dict):
            return arms
        return {str(name): _dotted(keys) for name, keys in arms.items()}

    @model_validator(mode="after")
    def _comparable(self) -> Study:
        for values, what in ((self.sizes, "sizes"), (self.seeds, "seeds")):
            if len(set(values)) < len(values):
                raise ValueError(f"a value stands twice in study.{what}")
        if self.baseline is not None and self.baseline not in self.arms:
            raise ValueError(f"study.baseline is none of the arms: {', '.join(self.arms)}")
        if set(self.timed) & set(self.arms):
            raise ValueError(f"an arm is named as those with equal seconds are: {', '.join(self.timed)}")
        for name, keys in self.arms.items():
            if not name.strip():
                raise ValueError("an arm of study.arms has no name")
            if not keys and name not in NAMED_ARMS:
                raise ValueError(
                    f"the arm '{name}' changes nothing and is no strategy; there is: {', '.join(sorted(NAMED_ARMS))}"
                )
            for key in keys:
                self._refuse_key(name, key)
        return self

    def _refuse_key(self, arm: str, key: str) -> None:
        """Refuse a key of an arm by which it cannot be compared, or that is searched."""
        why = next((_SAME_FOR_ALL[k] for k in (key, key.partition(".")[0]) if k in _SAME_FOR_ALL), None)
        if why is not None:
            raise ValueError(f"the arm '{arm}' cannot be compared if it changes {key}: {why}")
        if self.search is not None and key in self.search.rates:
            raise ValueError(f"the arm '{arm}' gives {key} itself, which study.search looks for: leave one of them out")

    @property
    def timed(self) -> dict[str, str]:
        """The arms with equal seconds, and whose keys each has."""
        return {} if self.seconds is None else {f"{arm}, {self.seconds:g} s": arm for arm in self.arms}

    @property
    def compared_with(self) -> str:
        """The arm that the others are compared with."""
        return self.baseline or ("scratch" if "scratch" in self.arms else next(iter(self.arms)))


def _dotted(keys: Any) -> Any:
    """Return `{transfer: {strategy: full}}` as `{transfer.strategy: full}`; what is no mapping is left as it is."""
    if keys is None:
        return {}
    if not isinstance(keys, dict):
        return keys
    flat: dict[str, Any] = {}
    for key, value in keys.items():
        inside = key in _PARTS and isinstance(value, dict)
        more = {f"{key}.{name}": each for name, each in value.items()} if inside else {str(key): value}
        for name in more.keys() & flat.keys():
            raise ValueError(f"an arm has the key {name} twice, by itself and inside of {name.partition('.')[0]}")
        flat |= more
    return flat


class StudyEvaluate(Evaluate):
    """How the runs of a study are scored: as others, and on some training images too, by which overfitting is seen."""

    train_images: Annotated[int, Field(ge=0)] = 64
    """As in a run; 0 scores none, and the study says nothing of overfitting."""


class StudyConfig(RunConfig):
    """A study: the keys of a run, which all arms share, and `study`. `out` is the folder of the study."""

    evaluate: StudyEvaluate = StudyEvaluate()
    """How the runs are scored."""
    study: Study
    """What is compared."""

    @model_validator(mode="after")
    def _tested_once(self) -> StudyConfig:
        if self.study.folds is not None and self.data.test_split is not None:
            raise ValueError(
                "study.folds tests every image once, and data.test_split names a split for it: give one of the two"
            )
        for name, why in (
            ("forgetting", "it has no interval over folds"),
            ("matrix", "it has no interval over folds"),
            ("search", "its trials would see the images that folds are tested on"),
        ):
            if self.study.folds is not None and getattr(self.study, name):
                raise ValueError(f"study.{name} and study.folds: {why}; leave one of the two out")
        return self

    @model_validator(mode="after")
    def _forgets_something(self) -> StudyConfig:
        if self.study.forgetting is not None and not any(map(self.classes_kept_by, self.study.arms)):
            raise ValueError(
                "study.forgetting scores classes of the source that runs go on finding, and no arm keeps one: name "
                "some as transfer.keep_source_classes"
            )
        return self

    def classes_kept_by(self, arm: str) -> list[str]:
        """Return the classes of the source that the runs of an arm are to go on finding."""
        return list(self.keys_of(arm)["transfer"].get("keep_source_classes", []))

    def keys_of(self, arm: str) -> dict[str, Any]:
        """Return the content of the run config of an arm, before the budget, the data and the seed are put in."""
        arm, timed = self.study.timed.get(arm, arm), arm in self.study.timed
        changes = self.study.arms[arm]
        if not {"transfer.strategy", "transfer.phases"} & changes.keys():
            changes = NAMED_ARMS.get(arm, {}) | changes
        keys: dict[str, Any] = self.model_dump(mode="json", exclude={"study", "out"})
        for other, one in (("phases", "strategy"), ("strategy", "phases")):
            if f"transfer.{one}" in changes:
                keys["transfer"][other] = None
        if changes.get("transfer.strategy") == "scratch":  # nothing of a source means anything there
            keys["transfer"] = {k: v for k, v in keys["transfer"].items() if k not in _OF_THE_SOURCE}
        keys = with_keys(keys, changes)
        if timed and self.study.seconds is not None:
            keys["transfer"]["budget"] = self.study.seconds / 60
        return keys


def with_keys(keys: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a config with some keys changed, which are named like `train.lr`; in place."""
    for key, value in changes.items():
        part, dot, name = key.partition(".")
        if dot and isinstance(keys.get(part), dict):
            keys[part][name] = value
        else:
            keys[key] = value
    return keys
