"""Trackers: the metrics of a run in the places where people compare runs, by the packages of these places.

All have the same names of metrics. What a tracker does wrong is said once, and the run goes on without it. Nothing is
sent anywhere: W&B is offline and MLflow a file in the run folder, unless their own variables (`WANDB_MODE`,
`MLFLOW_TRACKING_URI`) say otherwise.
"""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from detect_transfer.config import RunConfig
from detect_transfer.core.opening import real_path
from detect_transfer.core.quiet_imports import forbid_reports
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.watch import Watch

logger = logging.getLogger(__name__)

METRIC_NAMES = {
    "AP": "val/AP",
    "AP50": "val/AP50",
    "AP75": "val/AP75",
    "train_AP": "train/AP",
    "loss": "train/loss",
    "images_per_second": "train/images_per_second",
    "epoch_seconds": "time/epoch_seconds",
}
_AT_THE_END = ("AP", "AP50", "AP75", "AR100")


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker gets when it begins.

    Args:
        name: The name of the run.
        project: What it is filed under.
        folder: A folder of its own in the run folder.
        config: Every key of the config, such as `train.lr`.
    """

    name: str
    project: str
    folder: Path
    config: Mapping[str, Any]


class Tracker(Protocol):
    """Takes the metrics of a run."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Take metrics of an epoch."""

    def end(self) -> None:
        """Write what is still to be written."""


class CsvTracker:
    """A row a metric in `metrics.csv`: step, name, value."""

    def __init__(self, run: TrackedRun) -> None:
        path = run.folder / "metrics.csv"
        is_new = not path.is_file()
        self._stream = path.open("a", newline="", encoding="utf-8")
        self._rows = csv.writer(self._stream)
        if is_new:
            self._rows.writerow(["step", "metric", "value"])

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Append the metrics of an epoch."""
        self._rows.writerows([step, name, repr(value)] for name, value in metrics.items())
        self._stream.flush()

    def end(self) -> None:
        """Close the file."""
        self._stream.close()


class TensorBoardTracker:
    """An event file that `tensorboard --logdir` reads."""

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run.folder))
        self._writer.add_text("config", "\n".join(f"    {key}: {value}" for key, value in run.config.items()))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Add the metrics of an epoch."""
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self) -> None:
        """Close the file."""
        self._writer.close()


class MlflowTracker:
    """A run of MLflow, in a data base in the run folder or where `MLFLOW_TRACKING_URI` says."""

    def __init__(self, run: TrackedRun) -> None:
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{run.folder.absolute() / 'mlflow.db'}"
        self._client: Any = MlflowClient(tracking_uri=uri)
        experiment = self._client.get_experiment_by_name(run.project)
        number = experiment.experiment_id if experiment else self._client.create_experiment(run.project)
        kept = run.folder / "run_id.txt"
        if kept.is_file():
            self._id = kept.read_text()
        else:
            self._id = self._client.create_run(number, run_name=run.name).info.run_id
            for key, value in run.config.items():
                self._client.log_param(self._id, key, str(value)[:500])
            kept.write_text(self._id)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log the metrics of an epoch."""
        for name, value in metrics.items():
            self._client.log_metric(self._id, name, value, step=step)

    def end(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._id)


class WandbTracker:
    """A run of Weights & Biases, offline: `wandb sync` sends it."""

    def __init__(self, run: TrackedRun) -> None:
        os.environ.setdefault("WANDB_CACHE_DIR", str(run.folder.absolute() / "cache"))  # else in the home folder
        import wandb

        settings = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True)
        mode: Any = os.environ.get("WANDB_MODE", "offline")
        self._run: Any = wandb.init(
            mode=mode,
            dir=str(run.folder),
            project=run.project,
            name=run.name,
            config=dict(run.config),
            settings=settings,
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log the metrics of an epoch."""
        self._run.log({**metrics, "epoch": step})  # its own step may not run back where a run is resumed

    def end(self) -> None:
        """Write what is still to be written."""
        self._run.finish()


class TrackioTracker:
    """A run of trackio, in its local store: `trackio show` shows it."""

    def __init__(self, run: TrackedRun) -> None:
        import trackio

        self._trackio: Any = trackio
        trackio.init(
            project=run.project, name=run.name, config=dict(run.config), resume="allow", embed=False, auto_log_cpu=False
        )

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Log the metrics of an epoch."""
        self._trackio.log(dict(metrics), step=step)

    def end(self) -> None:
        """Write what is still to be written."""
        self._trackio.finish()


TRACKERS: dict[str, Callable[[TrackedRun], Tracker]] = {
    "csv": CsvTracker,
    "tensorboard": TensorBoardTracker,
    "mlflow": MlflowTracker,
    "wandb": WandbTracker,
    "trackio": TrackioTracker,
}


@dataclass
class Tracking:
    """The trackers of a run that work.

    Args:
        watch: What the run tells; the trackers get it too.
        trackers: By name.
        epoch: The last epoch.
    """

    watch: Watch
    trackers: dict[str, Tracker] = field(default_factory=dict)
    epoch: int = 0

    def begin(self, name: str, run: TrackedRun) -> None:
        """Begin a tracker."""
        forbid_reports()
        try:
            run.folder.mkdir(parents=True, exist_ok=True)
            with redirect_stdout(StringIO()):
                self.trackers[name] = TRACKERS[name](run)
        except ImportError as error:
            self._without(name, f"{error}; pip install 'detect-transfer[{name}]'")
        except (Exception, SystemExit) as error:  # noqa: BLE001  nothing that a tracker does may end a run
            self._without(name, f"{type(error).__name__}: {error}")

    def note(self, row: Mapping[str, Any]) -> None:
        """Tell every tracker what an epoch came to; averages of weights are no epochs."""
        if "mix" not in row:
            self.epoch = row["epoch"]
            self.log({shown: row[name] for name, shown in METRIC_NAMES.items() if row.get(name) is not None})

    def log(self, metrics: Mapping[str, float]) -> None:
        """Give every tracker some metrics; one that fails gets no more."""
        self._each(lambda tracker: tracker.log(metrics, self.epoch))

    def finish(self, val: Mapping[str, float | None], test: Mapping[str, float | None] | None) -> None:
        """Tell every tracker what the best weights score."""
        parts = {"best_val": val, "best_test": test or {}}
        self.log({f"{part}/{k}": of[k] for part, of in parts.items() for k in _AT_THE_END if of.get(k) is not None})  # type: ignore[misc]

    def end(self) -> None:
        """Let every tracker write what is still to be written."""
        self._each(lambda tracker: tracker.end())

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in tuple(self.trackers.items()):
            try:
                with redirect_stdout(StringIO()):
                    call(tracker)
            except (Exception, SystemExit) as error:  # noqa: BLE001  nothing that a tracker does may end a run
                del self.trackers[name]
                self._without(name, f"{type(error).__name__}: {error}")

    def _without(self, name: str, why: str) -> None:
        logger.warning("the run goes on without the tracker %s: %s", name, why)


@contextmanager
def tracking(config: RunConfig, folder: RunFolder, watch: Watch, *, main: bool) -> Iterator[Tracking]:
    """Begin the trackers that a config names, and end them with the block.

    Args:
        config: The config of the run.
        folder: Its folder.
        watch: What it tells while it goes on.
        main: Whether this is the main process; the others track nothing.
    """
    tracked = Tracking(watch)
    for name in config.track.to if main else ():
        flat = dict(_flat(config.model_dump(mode="json", exclude={"out", "track"})))
        tracked.begin(
            name, TrackedRun(real_path(folder.path).name, config.track.project_name, folder.tracked / name, flat)
        )

    def on_epoch(row: dict[str, Any]) -> None:
        watch.on_epoch(row)
        tracked.note(row)

    if tracked.trackers:
        tracked.watch = replace(watch, on_epoch=on_epoch)
    try:
        yield tracked
    finally:
        tracked.end()


def _flat(keys: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key of a config with the names of its parts before it."""
    for key, value in keys.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
