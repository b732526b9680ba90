"""The folder of a study: where its runs, its parts of the data and its report lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from detect_transfer.config import StudyConfig, load_config_of
from detect_transfer.workflows.run_folder import RunFolder


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

    def searches(self) -> list[Path]:
        """The trials of each arm that was searched, wholly or in part."""
        return sorted((self.path / "search").glob("*/trials.json"))


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
