"""The run folder: where each file of a run lies, and how the ones that are read again are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from detect_transfer.config import Data, RunConfig, load_config, settings_sha256
from detect_transfer.core.annotations import Detections
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import read_json, read_text, require_file, sha256_file
from detect_transfer.core.sealed import SEAL, read_sealed
from detect_transfer.core.written_links import MANIFEST
from detect_transfer.formats.detections.reader import read_results

SETTINGS = "settings_sha256"  # of the config, in the manifest
_NUMBERS = {"AP", "train_AP", "epoch_seconds"}  # of an epoch, with which is reckoned


@dataclass(frozen=True)
class RunFolder:
    """A run folder; what scoring and prediction write has the same names.

    Args:
        path: The folder.
        trusts: Whether its files are read as they are; else those that its manifest names must be as it states.
        run: The run whose manifest names its files; None for one with a manifest of its own.
    """

    path: Path
    trusts: bool = False
    run: RunFolder | None = None

    @classmethod
    def of(cls, run_or_weights: Path) -> RunFolder:
        """Return the run folder at a path, or the one that a weights file lies in."""
        return cls(run_or_weights if run_or_weights.is_dir() else run_or_weights.parent.parent)

    @classmethod
    def holding(cls, weights: Path) -> RunFolder | None:
        """Return the run folder that a training wrote weights into; None where they are of none."""
        folder = cls(weights.parent.parent)
        return folder if weights.parent.name == "weights" and folder.config.is_file() else None

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def manifest(self) -> Path:
        """Sizes and hashes of the files, the machine and the versions; written last, so that it marks a whole run."""
        return self.path / "manifest.json"

    @property
    def log(self) -> Path:
        """What happened when."""
        return self.path / "log.txt"

    @property
    def average(self) -> Path:
        """What was averaged, where the folder is no run but an average of runs."""
        return self.path / "average.json"

    @property
    def history(self) -> Path:
        """A row an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def best(self) -> Path:
        """The weights of the best epoch."""
        return self.path / "weights" / "best.safetensors"

    @property
    def last(self) -> Path:
        """The weights of the last epoch."""
        return self.path / "weights" / "last.safetensors"

    @property
    def state(self) -> Path:
        """What training needs to go on."""
        return self.path / "weights" / "state.pt"

    @property
    def transfer(self) -> Path:
        """What was taken over from the source, and what trained when."""
        return self.path / "transfer.json"

    @property
    def sources(self) -> Path:
        """What each of several sources knew of the data; there where the config names several."""
        return self.path / "sources.json"

    @property
    def detections(self) -> Path:
        """What the best weights found, as COCO results."""
        return self.path / "detections.json"

    @property
    def metrics(self) -> Path:
        """The scores."""
        return self.path / "metrics.json"

    @property
    def thresholds(self) -> Path:
        """The score threshold of each class."""
        return self.path / "operating_points.json"

    @property
    def findings(self) -> Path:
        """What training cannot see in its data."""
        return self.path / "findings.json"

    @property
    def used_images(self) -> Path:
        """Hashes of the images that it learned from and chose by."""
        return self.path / "used_images.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def images(self) -> Path:
        """Drawn images."""
        return self.path / "images"

    @property
    def test(self) -> RunFolder:
        """The scores on the test split."""
        return RunFolder(self.path / "test", self.trusts, self)

    @property
    def scored_epochs(self) -> Path:
        """What each epoch detected on the validation split; it goes when the run has finished."""
        return self.path / "weights" / "epochs"

    @property
    def drawn_data(self) -> Path:
        """The data folder that a run made itself, of drawn scenes or of native data."""
        return self.path / "data"

    def data_of(self, data: Data) -> Path | None:
        """Return what native data were read from: the data folder that the run made of them, or what the config names.

        None for drawn scenes.
        """
        is_converted = data.path is not None and (self.drawn_data / MANIFEST).is_file()
        return self.drawn_data if is_converted else data.path

    @property
    def tracked(self) -> Path:
        """What trackers write."""
        return self.path / "tracking"

    @property
    def cache(self) -> Path:
        """Arrays that training keeps on the disk; it goes when the run ends."""
        return self.path / "cache"

    def read_used_images(self) -> dict[str, list[str]]:
        """Return hashes of the images by what they were used for; nothing for weights that are of no run."""
        stored = read_json(self.as_written(self.used_images)) if self.has(self.used_images) else {}
        parts = stored.items() if isinstance(stored, dict) else ()
        return {part: [h for h in hashes if isinstance(h, str)] for part, hashes in parts if isinstance(hashes, list)}

    def read_findings(self) -> list[str]:
        """Return what training cannot see in its data, a line each; nothing for a run that did not look."""
        rows = read_json(self.as_written(self.findings)) if self.has(self.findings) else []
        return [row["line"] for row in rows if isinstance(row, dict) and isinstance(row.get("line"), str)]

    def read_config(self) -> RunConfig:
        """Read the config, of which a finished run may have other paths than it began with, where data have moved.

        Raises:
            InputError: It is missing or wrong, or says something else than when the run finished.
        """
        config = load_config(require_file(self.config, what="the config of a run"))
        stated = None if self.trusts or not self.manifest.is_file() else self.read_manifest().get(SETTINGS)
        if stated is not None and stated != settings_sha256(self.config):
            what = "what it says is not what the run was trained with: the manifest states another hash"
            remedy = f"put it back; paths may differ. Where you changed it on purpose, {self._unstated(SETTINGS)}"
            raise InputError("RUN_CHANGED", what, where=self.config, remedy=remedy)
        return config

    def _unstated(self, *rows: str) -> str:
        return f"remove {' and '.join((*rows, SEAL))} in {self.manifest}"

    def read_manifest(self) -> dict[str, Any]:
        """Read the manifest of a finished run; one of earlier versions has no hash, one that is no object says nothing.

        Raises:
            InputError: It is missing or no JSON, or has changed since.
        """
        path = require_file(self.manifest, what="the manifest of a finished run")
        if self.trusts:
            manifest = read_json(path)
            return manifest if isinstance(manifest, dict) else {}
        return read_sealed(path, remedy=f"copy the run again; where you changed it, {self._unstated()}", seal=False)

    def as_written(self, path: Path) -> Path:
        """Return the path of a file of the run if it is as the manifest of the finished run states.

        Raises:
            InputError: It has changed since.
        """
        if path.is_file() and (stated := self._stated(path)) is not None and stated != sha256_file(path):
            raise self._changed(path, "it is not what training wrote: the manifest of the run states another hash")
        return path

    def has(self, path: Path) -> bool:
        """Tell whether a file is there that not every run has.

        Raises:
            InputError: It is not there, and the manifest of the finished run names it.
        """
        # beside weights that are of no run there may be another manifest
        if not path.is_file() and (self.run or self).config.is_file() and self._stated(path) is not None:
            raise self._changed(path, "it is not there, though the manifest of the run names it")
        return path.is_file()

    def _stated(self, path: Path) -> str | None:
        """Return the hash that the manifest states of a file, "" where it has another form; None where it has none."""
        home = self.run or self
        if self.trusts or not home.manifest.is_file():
            return None
        name, files = path.relative_to(home.path).as_posix(), home.read_manifest().get("files", {})
        stated = files.get(name, ...) if isinstance(files, dict) else ""
        return None if stated is ... else str(stated.get("sha256")) if isinstance(stated, dict) else ""

    def _changed(self, path: Path, what: str) -> InputError:
        home = self.run or self
        remedy = f"copy the run again; detect-transfer verify {home.path} looks at every file; where you changed it on "
        return InputError("RUN_CHANGED", what, where=path, remedy=f"{remedy}purpose, {home._unstated('its row')}")

    def read_detections(self) -> Detections:
        """Read the detections.

        Raises:
            InputError: They are missing or wrong.
        """
        return read_results(self.as_written(require_file(self.detections, what="the detections of a run")))

    def read_metrics(self) -> dict[str, Any]:
        """Read the scores.

        Raises:
            InputError: They are missing or wrong.
        """
        scores = read_json(self.as_written(require_file(self.metrics, what="the scores of a run")))
        if isinstance(scores, dict):
            return scores
        remedy = "put the file back, or train the run again"
        raise InputError("METRICS_FILE", "an object was expected", where=self.metrics, remedy=remedy)

    def read_history(self) -> list[dict[str, Any]]:
        """Read the rows of the epochs, without those of averages of weights; none where there is no such file.

        Raises:
            InputError: A line is no row.
        """
        rows: list[dict[str, Any]] = []
        lines = read_text(self.as_written(self.history)).splitlines() if self.has(self.history) else []
        for number, line in enumerate(lines, start=1):
            try:
                row = orjson.loads(line)
                if "mix" not in row:
                    numbers = {key: None if row[key] is None else float(row[key]) for key in _NUMBERS & row.keys()}
                    rows.append({**row, **numbers, "epoch": int(row["epoch"])})
            except (orjson.JSONDecodeError, TypeError, ValueError, KeyError, AttributeError) as error:
                where = f"{self.history}:{number}"
                raise InputError(
                    "HISTORY_ROW", "an object of numbers with `epoch` was expected", where=where, remedy="fix the line"
                ) from error
        return rows

    def read_transfer(self) -> dict[str, Any]:
        """Read what a run tells of its transfer.

        Raises:
            InputError: It is missing, or of another version.
        """
        record = read_json(self.as_written(require_file(self.transfer, what="what a run tells of its transfer")))
        try:
            if all({"first_epoch", "epochs", "rates"} <= set(phase) for phase in record["phases"]):
                return dict(record)
        except (TypeError, KeyError):
            pass
        raise InputError(
            "TRANSFER_RECORD",
            "it is not of the form that this version writes",
            where=self.transfer,
            field="phases",
            remedy="compare the detections of the runs with --truth and --detections instead",
        )
