"""The folder of a study: where its runs, its parts of the data and its report lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detect_transfer.config import StudyConfig, dump_config, load_config_of, settings_sha256, sha256_of_settings
from detect_transfer.core.errors import InputError, raise_problems
from detect_transfer.core.io import read_text, write_atomic
from detect_transfer.workflows.run_folder import RunFolder

# keys of `train` that change where a run keeps things, not what it computes
NOT_HASHED = {"workers", "cache", "cache_mb", "cache_folder", "cache_folder_mb"}
_STATED = "# sha256 of these settings without paths: "  # after which their hash stands, in the last line


@dataclass(frozen=True)
class StudyFolder:
    """The folder of a study, which several machines may share.

    Args:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The config, as it was when the study was last planned; written last of what planning writes."""
        return self.path / "study.yaml"

    @property
    def data(self) -> Path:
        """The data folder that the study made itself, of drawn scenes or of native data."""
        return self.path / "data"

    @property
    def data_source(self) -> Path:
        """What that data folder was made from."""
        return self.path / "data_source.json"

    @property
    def runs(self) -> Path:
        """The run folders, named by their keys."""
        return self.path / "runs"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "study.html"

    @property
    def answers(self) -> Path:
        """All that the page says, for programs."""
        return self.path / "study.json"

    @property
    def runs_table(self) -> Path:
        """A row a planned run."""
        return self.path / "runs.parquet"

    @property
    def epochs_table(self) -> Path:
        """A row an epoch of a finished run."""
        return self.path / "epochs.parquet"

    def split_file(self, percent: float, fold: int | None = None) -> Path:
        """The images of each split where so much of the training set is trained on."""
        return self.path / "splits" / (f"train_{percent:g}" + ("" if fold is None else f"_fold_{fold}") + ".json")

    def run(self, key: str) -> RunFolder:
        """The folder of a run."""
        return RunFolder(self.runs / key)

    def run_config(self, key: str) -> Path:
        """The config that a run is started with."""
        return self.path / "configs" / f"{key}.yaml"

    def output(self, key: str) -> Path:
        """What a run printed."""
        return self.path / "logs" / f"{key}.txt"

    def failure(self, key: str) -> Path:
        """How a run failed."""
        return self.path / "failed" / f"{key}.json"

    def digest(self, key: str) -> Path:
        """What the report needs of a finished run, and its AP on the test images as they are and on draws of them."""
        return self.path / "digests" / f"{key}.json"

    def elsewhere(self, key: str) -> Path:
        """What a finished run scored on other data than that of the study."""
        return self.path / "digests" / f"{key}.elsewhere.json"

    def search(self, arm: str) -> Path:
        """The trials of an arm whose rates were searched."""
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in arm)
        return self.path / "search" / f"{name[:40]}_{hashlib.sha256(arm.encode()).hexdigest()[:6]}"

    def trials(self, arm: str) -> Path:
        """What the trials of an arm came to."""
        return self.search(arm) / "trials.json"

    def write_config(self, config: StudyConfig) -> None:
        """Write the config, and the hash of what it says.

        Raises:
            ResourceError: The disk is full or does not let us write.
        """
        sha256 = sha256_of_settings(config.model_dump(mode="json"), StudyConfig)
        write_atomic(self.config, f"{dump_config(config)}{_STATED}{sha256}\n")

    @property
    def config_warning(self) -> str:
        """That the config says something else than when the study was last planned; "" where it does not.

        Some of its keys, such as `study.margin`, change what the report says of runs that are done. Earlier versions
        wrote no hash.
        """
        lines = read_text(self.config).splitlines() if self.config.is_file() else []
        stated = next((line.removeprefix(_STATED) for line in lines if line.startswith(_STATED)), None)
        if stated is None or stated == settings_sha256(self.config, StudyConfig):
            return ""
        return f"the settings in {self.config} were changed since the study was last run: it is reported by them"

    def searches(self) -> list[Path]:
        """The trials of each arm that was searched, wholly or in part."""
        return sorted((self.path / "search").glob("*/trials.json"))


def refuse_less(before: StudyConfig, after: StudyConfig) -> None:
    """Refuse to extend a study to one that has not all of its arms, sizes and seeds, or that trains otherwise.

    Raises:
        InputError: Runs that were made would be dropped.
    """
    problems = []
    for name in ("arms", "sizes", "seeds"):
        had, has = (getattr(config.study, name) for config in (before, after))
        lacking = [each for each in had if each not in has or (name == "arms" and had[each] != has[each])]
        if lacking:
            what = f"the study has {name} that would be dropped: {', '.join(f'{each}' for each in lacking)}"
            whole = f"[{', '.join(f'{each:g}' for each in dict.fromkeys([*had, *has]))}]" if name != "arms" else ""
            remedy = f"give study.{name}={whole}" if whole else "add an arm as study.arms.NAME={...}"
            problems.append(InputError("STUDY_EXTEND", what, field=f"study.{name}", remedy=remedy))
    had, has = (_of_every_run(config) for config in (before, after))
    for key in sorted(key for key in had.keys() | has.keys() if had.get(key) != has.get(key)):
        what, remedy = "no run of the study was made with it", "begin another study with it, in a folder of its own"
        problems.append(InputError("STUDY_EXTEND", what, field=key, value=has.get(key), remedy=remedy))
    raise_problems(problems)


def _of_every_run(config: StudyConfig) -> dict[str, Any]:
    """Return the keys that change what all runs compute; the same data may lie elsewhere."""
    parts = config.model_dump(mode="json", exclude={"data", "out", "track", "study"})
    keys = {
        f"{part}.{name}" if name else part: value
        for part, content in parts.items()
        for name, value in (content.items() if isinstance(content, dict) else [("", content)])
        if part != "train" or name not in NOT_HASHED
    }
    return keys | {f"study.{name}": getattr(config.study, name) for name in ("budget", "held_out", "folds")}


def load_study(path: Path, overrides: tuple[str, ...] = ()) -> tuple[StudyConfig, StudyFolder]:
    """Load the config of a study, from its YAML file or from its folder, and say where the study lies.

    Args:
        path: The YAML file, or the folder of a study that was planned before.
        overrides: Words such as `study.seeds=[0,1,2,3,4]`.

    Raises:
        InputError: It is missing or wrong.
    """
    file = StudyFolder(path).config if path.is_dir() else path
    config = load_config_of(StudyConfig, file, overrides)
    folder = path if path.is_dir() else config.out or Path("studies") / path.stem
    return config, StudyFolder(folder)
