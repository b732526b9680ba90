"""Is what a run or a study states still so? Files, data, weights, code and scores are looked at again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from detect_transfer.config import Data, RunConfig
from detect_transfer.core.annotations import AnnotationTable
from detect_transfer.core.code_version import code_sha256
from detect_transfer.core.errors import DetectTransferError, InputError
from detect_transfer.core.io import require_dir, sha256_file
from detect_transfer.core.sealed import SEAL
from detect_transfer.data.run_data import RunData, load_run_data, with_kept_classes
from detect_transfer.evaluation import coco_metrics
from detect_transfer.workflows.run_folder import RunFolder

Outcome = Literal["confirmed", "denied", "not checked"]
_TOLERANCE = 5e-4  # AP as it is shown; other threads or another processor move the last digits of scores
_UNREPEATABLE = {
    "peak_memory_mb": "the run would have to be trained again",
    "energy_joules": "the run would have to be trained again",
    "machine": "where a run was trained cannot be seen from it",
    "device": "where a run was trained cannot be seen from it",
    "precision": "the run would have to be trained again",
    "threads": "the run would have to be trained again",
    "command": "what was typed cannot be seen from a run",
}


@dataclass(frozen=True)
class Check:
    """One statement, looked at again.

    Args:
        name: What is stated.
        outcome: Whether it is so.
        stated: As it stands in the run.
        measured: As it is now; None where it was not checked.
        reason: Why it was not checked, or what is wrong.
    """

    name: str
    outcome: Outcome
    stated: Any = None
    measured: Any = None
    reason: str = ""


def verify_run(
    path: Path, *, data: Data | None = None, predict: bool = True, on_stage: Callable[[str], None] = lambda _: None
) -> list[Check]:
    """Look at every statement of the manifest and the scores of a run again.

    Args:
        path: The run folder.
        data: Where its data lie now, with the split file, where that is known otherwise than from its config.
        predict: Run the best weights on the images again; else scores are those of the stored detections.
        on_stage: Called with what begins now, in words.

    Raises:
        InputError: It is no finished run.
    """
    folder = RunFolder(require_dir(path, what="a run folder"), trusts=True)
    manifest, config = folder.read_manifest(), folder.read_config()
    if data is not None:
        paths = {"path": data.path, "split_file": data.split_file}
        config = config.model_copy(update={"data": config.data.model_copy(update=paths)})
    on_stage("hashing files, weights and code")
    checks = [
        _manifest(folder, manifest),
        *_files(folder, manifest),
        *_code(manifest),
        _weights(folder, config, manifest),
    ]
    on_stage("reading the data")
    read, check = _data(folder, config, manifest)
    checks.append(check)
    checks += _scores(folder, config, read, predict=predict, on_stage=on_stage)
    checks += _epochs(folder)
    checks.append(_compared("seed", manifest.get("seed"), config.train.seed, "the config has another"))
    checks += [Check(k, "not checked", manifest[k], None, why) for k, why in _UNREPEATABLE.items() if k in manifest]
    return checks


def _manifest(folder: RunFolder, manifest: Mapping[str, Any]) -> Check:
    if SEAL not in manifest:
        return Check("manifest.json", "not checked", None, None, "it holds no hash of itself")
    try:
        RunFolder(folder.path).read_manifest()
    except InputError as error:
        return Check("manifest.json", "denied", manifest[SEAL], None, error.what)
    return Check("manifest.json", "confirmed", manifest[SEAL], manifest[SEAL])


def _files(folder: RunFolder, manifest: Mapping[str, Any]) -> Iterator[Check]:
    """Hash every file that the manifest names; those that numbers and weights are read from it must name."""
    listed = manifest.get("files")
    listed = listed if isinstance(listed, dict) else {}
    files = {name: row for name, row in listed.items() if _has_hash(row)}
    parts = [folder.config, folder.transfer, folder.best, folder.history, folder.metrics, folder.detections]
    parts += [folder.test.metrics, folder.test.detections] if folder.test.path.is_dir() else []
    needed = [path.relative_to(folder.path).as_posix() for path in (*parts, folder.report)]
    for name in sorted({*needed, *listed} - files.keys()):
        yield Check(f"file {name}", "denied", None, None, "the manifest has no hash of it")
    for name, stated in files.items():
        path = folder.path / name
        if path == folder.state and not path.is_file():
            yield Check(f"file {name}", "not checked", stated["sha256"], None, "only training on needs it; not kept")
        elif not path.is_file():
            yield Check(f"file {name}", "denied", stated["sha256"], None, "the file is gone")
        else:
            yield _compared(f"file {name}", stated["sha256"], sha256_file(path), "the file was changed")


def _has_hash(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("sha256"), str)


def _code(manifest: Mapping[str, Any]) -> Iterator[Check]:
    """Compare the code and the versions with those that are installed."""
    if "code_sha256" in manifest:
        yield _compared("code_sha256", manifest["code_sha256"], code_sha256(), "another code is installed now")
    else:
        yield Check("code_sha256", "not checked", None, None, "an earlier version wrote the run")
    versions = manifest.get("versions")
    for name, stated in versions.items() if isinstance(versions, dict) else ():
        if name == "python":
            continue
        try:
            installed = version(name.replace("_", "-"))
        except PackageNotFoundError:
            yield Check(f"version of {name}", "not checked", stated, None, "it is not installed as a package")
        else:
            same = installed.partition("+")[0] == str(stated).partition("+")[0]
            yield Check(
                f"version of {name}", "confirmed" if same else "denied", stated, installed, "" if same else "another"
            )


def _weights(folder: RunFolder, config: RunConfig, manifest: Mapping[str, Any]) -> Check:
    """Hash the weights that the run started from."""
    stated = manifest.get("weights_sha256")
    if stated is None and folder.read_transfer().get("source") is None:
        return Check("weights_sha256", "confirmed", None, None, "it started from scratch")
    from detect_transfer.models.hub import find_weights

    try:
        return _compared(
            "weights_sha256", stated, sha256_file(find_weights(config.model.weights)), "the weights were changed"
        )
    except DetectTransferError as error:
        return Check("weights_sha256", "not checked", stated, None, str(error))


def _data(folder: RunFolder, config: RunConfig, manifest: Mapping[str, Any]) -> tuple[RunData | None, Check]:
    """Hash the data again."""
    stated = manifest.get("data_sha256")
    try:
        data = load_run_data(config.data, drawn=folder.drawn_data)
    except DetectTransferError as error:
        return None, Check("data_sha256", "not checked", stated, None, str(error))
    check = _compared("data_sha256", stated, data.fingerprint, "images or annotations were changed")
    return with_kept_classes(data, config.transfer.keep_source_classes), check


def _scores(
    folder: RunFolder, config: RunConfig, data: RunData | None, *, predict: bool, on_stage: Callable[[str], None]
) -> Iterator[Check]:
    """Score the stored detections again, and run the weights again."""
    splits = [("val", folder, None if data is None else data.val)]
    if folder.test.metrics.is_file():
        splits.append(("test", folder.test, None if data is None else data.test))
    for split, scored, truth in splits:
        stated = {name: scored.read_metrics().get(name) for name in ("AP", "AP50", "AP75")}
        if truth is None or data is None:
            for name, value in stated.items():
                yield Check(f"{split} {name}", "not checked", value, None, "the data are not there")
            continue
        on_stage(f"scoring the {split} images")
        yield from _compared_scores(f"{split} {{}} of the stored detections", stated, _stored(scored, config, truth))
        if not predict:
            for name, value in stated.items():
                yield Check(f"{split} {name} of the weights", "not checked", value, None, "it was not asked for")
            continue
        on_stage(f"running the weights on the {split} images")
        yield from _compared_scores(f"{split} {{}} of the weights", stated, _again(folder, data, truth))


def _stored(scored: RunFolder, config: RunConfig, truth: AnnotationTable) -> dict[str, float | None]:
    return coco_metrics(truth, scored.read_detections(), ignore_policy=config.evaluate.ignore_policy)


def _again(folder: RunFolder, data: RunData, truth: AnnotationTable) -> dict[str, float | None]:
    from detect_transfer.workflows.trained_detector import load_trained

    trained = load_trained(folder.path, trusts=folder.trusts)
    images = [(i, data.paths[i]) for i in truth.images["image_id"]]
    detections = trained.find(images, truth.categories["category_id"].sort().to_list())
    return coco_metrics(truth, detections, ignore_policy=trained.settings.ignore_policy)


def _compared_scores(name: str, stated: Mapping[str, Any], measured: Mapping[str, Any]) -> Iterator[Check]:
    for key, value in stated.items():
        now = measured.get(key)
        numbers = isinstance(value, int | float) and isinstance(now, int | float)
        same = abs(value - now) <= _TOLERANCE if numbers else value == now
        yield Check(name.format(key), "confirmed" if same else "denied", value, now, "" if same else "another score")


def _epochs(folder: RunFolder) -> Iterator[Check]:
    """Look whether the best epoch is the best of the rows."""
    history, metrics = folder.read_history(), folder.read_metrics()
    scored = [(row["AP"], -row["epoch"]) for row in history if row.get("AP") is not None]
    stated = metrics.get("best_epoch")
    if not scored or stated is None:
        yield Check("best_epoch", "not checked", stated, None, "no epoch has an AP")
        return
    best, number = max(scored)
    yield _compared("best_epoch", stated, -number, "another epoch of metrics.jsonl has a higher AP")
    average = metrics.get("best_average")
    chosen = average.get("AP") if isinstance(average, dict) else best
    yield from _compared_scores("{} that the best weights were chosen by", {"AP": chosen}, {"AP": metrics.get("AP")})
    seconds = sum(row.get("epoch_seconds", 0.0) for row in history)
    yield Check("seconds", "not checked", round(seconds, 1), None, "the run would have to be trained again")


def _compared(name: str, stated: Any, measured: Any, wrong: str) -> Check:
    same = stated == measured
    return Check(name, "confirmed" if same else "denied", stated, measured, "" if same else wrong)


def refuse_denied(checks: list[Check], path: Path) -> None:
    """Refuse what is not as stated.

    Raises:
        InputError: A check came out otherwise.
    """
    denied = [check for check in checks if check.outcome == "denied"]
    if denied:
        raise InputError(
            "VERIFY_DENIED",
            f"{len(denied)} of {len(checks)} statements are not so: {', '.join(check.name for check in denied[:5])}",
            where=path,
            remedy="put the data, the weights and the code back that the run was made with, or run it again",
        )
