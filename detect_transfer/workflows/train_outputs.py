"""What a run leaves behind: detections, metrics, images, the record of the transfer, the report, the manifest."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import polars as pl
import torch

import detect_transfer
from detect_transfer.config import RunConfig, settings_sha256
from detect_transfer.core.annotations import Detections
from detect_transfer.core.code_version import code_sha256
from detect_transfer.core.counted import counted
from detect_transfer.core.io import read_json, sha256_file, write_json
from detect_transfer.core.sealed import write_sealed
from detect_transfer.data.run_data import RunData
from detect_transfer.evaluation import Case
from detect_transfer.evaluation.selection import Candidates
from detect_transfer.models.base import Detector, TransferReport
from detect_transfer.models.checkpoints import load_weights
from detect_transfer.models.device import Precision, machine_name, peak_memory_mb
from detect_transfer.models.licences import code_ledger, weights_ledger
from detect_transfer.models.predict import predict, read_images
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.report.render import render_predictions
from detect_transfer.training.checkpoint import Progress
from detect_transfer.training.mirroring import Mirroring
from detect_transfer.training.mixes import mix_of
from detect_transfer.training.plan import Plan, PlannedPhase, plan_table
from detect_transfer.workflows.changed_images import note_changed_images
from detect_transfer.workflows.evaluate import (
    SHOWN_SCORE,
    EvaluateOptions,
    data_set_of,
    score_all,
    write_page,
    write_scored,
)
from detect_transfer.workflows.evaluate_weights import score_table
from detect_transfer.workflows.run_folder import SETTINGS, RunFolder
from detect_transfer.workflows.selection import ScoredDetections
from detect_transfer.workflows.thresholds import one_label, read_thresholds
from detect_transfer.workflows.trained_detector import TrainedDetector
from detect_transfer.workflows.watch import Watch

MOST_IMAGES = 16
_PACKAGES_OF_FAMILIES = ("torchvision", "transformers", "ultralytics")


@dataclass(frozen=True)
class RunFacts:
    """What is known of a finished training.

    Args:
        config: The config.
        command: The command line.
        plan: What trained when.
        report: What was taken over from the source.
        source: The pretrained model; None for training from scratch.
        initial: Every tensor of the network before training.
        progress: How training went.
        device: Where it ran.
        precision: The arithmetic of training.
        mirroring: Whether training images were mirrored.
        joules: What the machine used until the end of training; None where it does not tell.
    """

    config: RunConfig
    command: str
    plan: Plan
    report: TransferReport
    source: SourceWeights | None
    initial: Mapping[str, torch.Tensor]
    progress: Progress
    device: torch.device
    precision: Precision
    mirroring: Mirroring
    joules: float | None = None


@dataclass(frozen=True)
class RunScores:
    """What the best weights of a run score.

    Args:
        val: The twelve numbers on the split that they were chosen by.
        test: Those on the test split; None where there is none.
        selection: What the weights were chosen by, in words.
    """

    val: dict[str, float | None]
    test: dict[str, float | None] | None = None
    selection: str = ""


def write_outputs(
    folder: RunFolder, detector: Detector, data: RunData, facts: RunFacts, watch: Watch | None = None
) -> RunScores:
    """Score the best weights as they lie on the disk, and write everything that tells of the run."""
    watch = watch or Watch()
    report_done = watch.counting("writing the report", 4)
    best = load_weights(folder.best)
    detector.module.load_state_dict(best.tensors)
    transfer = transfer_record(detector, facts)
    if folder.sources.is_file():
        transfer = {"sources": read_json(folder.sources), **transfer}
    write_json(folder.transfer, transfer)
    used = {"train": data.train, "val": data.val}
    write_json(folder.used_images, {part: [data.content[i] for i in t.images["image_id"]] for part, t in used.items()})

    images = [(i, data.paths[i]) for i in data.val.images["image_id"]]
    detections = predict(
        detector,
        read_images(images, facts.config.train.imgsz, data.intake),
        settings=facts.config.evaluate,
        category_ids=data.val.categories["category_id"].sort().to_list(),
        progress=watch.counting("scoring the best weights", len(images)),
    )
    report_done(1)
    policy = facts.config.evaluate.ignore_policy
    data_set = data_set_of(folder.data_of(facts.config.data), data.format)
    case = Case(data.val, detections)
    scores, metrics = score_all(case, EvaluateOptions(ignore_policy=policy), data_set=data_set)
    scored, history = ScoredDetections(folder.scored_epochs), facts.progress.history
    selection, extra = _chosen_by(scored, data, facts)
    write_scored(folder.path, data.val, detections, scores, metrics=metrics, extra=extra)
    report_done(1)
    test = None if data.test is None else _score_test(folder, detector, data, facts, data_set=data_set)
    some = data.val.select_images(data.val.images["image_id"].head(MOST_IMAGES))
    shown = one_label(Detections(detections.rows.join(some.images.select("image_id"), on="image_id", how="semi")))
    render_predictions(some, shown, data.image_root, folder.images, score_threshold=SHOWN_SCORE)
    watch.say(*note_changed_images(folder, data))
    report_done(1)
    write_page(
        folder.report,
        case,
        scores,
        facts=_shown_facts(facts, data, detector.arch),
        title=folder.path.name,
        selection=selection,
        test_ap=None if test is None else test["AP"],
        metrics=metrics,
        history=history,
        averages=transfer["averages"],
        ledger=data.ledger,
        transfer=transfer,
        notes=folder.read_findings(),
    )
    write_sealed(folder.manifest, _manifest(folder, facts, data))
    scored.remove()  # not before: a run that is stopped until then scores and writes all of this again
    report_done(1)
    return RunScores(scores.metrics, test, selection)


def _chosen_by(scored: ScoredDetections, data: RunData, facts: RunFacts) -> tuple[str, dict[str, Any]]:
    """Return what the best weights were chosen by, in words, and what `metrics.json` says of it."""
    progress, config = facts.progress, facts.config
    candidates, split = Candidates(len(progress.history), len(progress.mixes)), config.data.val_split
    choice = scored.selection(data.val, candidates, config.evaluate)
    tested = f"best of {candidates} on {split}, and scored once on {config.data.test_split}"
    selection = choice.sentence if data.test is None else tested
    return selection, {
        "selection": {"split": split, **choice.as_dict(), "text": selection},
        "best_epoch": progress.best_epoch,
        "best_average": progress.best_mix,
        "epoch_0": {name: progress.history[0][name] for name in ("AP", "AP50", "AP75")},
        "epochs": progress.epoch,
    }


def _score_test(
    folder: RunFolder, detector: Detector, data: RunData, facts: RunFacts, *, data_set: str
) -> dict[str, float | None]:
    """Score the best weights on the test split, at the thresholds that the validation split gave."""
    config, truth = facts.config, data.test
    assert truth is not None
    ids = tuple(truth.categories["category_id"].sort().to_list())
    trained = TrainedDetector(detector, folder.best, config.train.imgsz, config.evaluate, ids, intake=data.intake)
    options = EvaluateOptions(ignore_policy=config.evaluate.ignore_policy)
    scored = score_table(trained, truth, options, data_set=data_set, thresholds=read_thresholds(folder.path))
    folder.test.path.mkdir(exist_ok=True)
    about = {"Run": folder.path.name, "Split": f"{config.data.test_split}, scored once", "Weights": "best"}
    scored.write(folder.test.path, about, title=f"{folder.path.name}, test split")
    return scored.scores.metrics


def transfer_record(detector: Detector, facts: RunFacts) -> dict[str, Any]:
    """Say what was taken over, what trained when, and show that what was frozen throughout did not change by a bit."""
    state, stages = detector.module.state_dict(), detector.stages()
    frozen = sorted(name for name, stage in stages.items() if stage not in facts.plan.trained)
    before, after = (_digest(tensors, frozen) for tensors in (facts.initial, state))
    source = facts.source
    return {
        "source": None
        if source is None
        else {"file": source.path.name, "sha256": source.sha256, "arch": source.arch, "classes": source.class_names},
        "arch": detector.arch,
        "strategy": facts.plan.strategy,
        "phases": [_phase_record(phase, facts.progress) for phase in facts.plan.phases],
        "stages": plan_table(facts.plan, stages, state),
        "averages": [_average_record(row, facts.progress) for row in facts.progress.mixes],
        "head_rows": [asdict(row) for row in facts.report.rows],
        **({} if facts.report.evidence is None else facts.report.evidence.as_record()),
        "tensors_taken": facts.report.tensors,
        "tensors_new": facts.report.new_tensors,
        "tensors_by_rows": facts.report.by_rows,
        "tensors_left_out": facts.report.left_out,
        "mirroring": facts.mirroring.as_dict(detector.class_names),
        "frozen": {
            "tensors": len(frozen),
            "sha256_before": before,
            "sha256_after": after,
            "identical": before == after,
        },
        "licences_of_code": code_ledger(facts.progress.packages),
        "licences_of_weights": weights_ledger(facts.source),
    }


def _phase_record(phase: PlannedPhase, progress: Progress) -> dict[str, Any]:
    """Say what a phase was to do, and which epochs it came to."""
    epochs = [row["epoch"] for row in progress.history if row["phase"] == phase.number]
    return {**asdict(phase), "rates": dict(phase.rates), "trained_epochs": [min(epochs), max(epochs)] if epochs else []}


def _average_record(row: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Say of an average of weights what it is of, and what it scored."""
    facts = {"weights": mix_of(row).name, "kind": row["mix"], "share": row["share"], "epochs": row["epochs"]}
    return {**facts, "AP": row["AP"], "AP50": row["AP50"], "best": row == progress.best_mix}


def _digest(tensors: Mapping[str, torch.Tensor], names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode())
        digest.update(tensors[name].detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _shown_facts(facts: RunFacts, data: RunData, arch: str) -> dict[str, str]:
    config, history = facts.config, facts.progress.history
    trained = history[1:]
    speed = sum(row["images_per_second"] for row in trained) / len(trained) if trained else 0.0
    source = "scratch" if facts.source is None else f"{facts.source.path.name} ({facts.source.sha256[:12]})"
    return {
        "Model": f"{config.model.family}, {arch}",
        "Starts from": source,
        "Strategy": f"{facts.plan.strategy}, {counted(facts.plan.epochs, 'epoch')} planned, "
        f"{facts.progress.epoch} trained",
        "Data": f"{data.train.images.height} training and {data.val.images.height} validation images, "
        f"{counted(data.train.categories.height, 'class', 'classes')}",
        "Input": f"{config.train.imgsz} px, batch {config.train.batch}, {facts.precision} on {facts.device.type}",
        "Time": f"{facts.progress.seconds:.0f} s, {speed:.1f} images/s while training",
        "Machine": machine_name(),
        "Seed": str(config.train.seed),
        "Command": facts.command,
        "detect_transfer": detect_transfer.__version__,
    }


def _manifest(folder: RunFolder, facts: RunFacts, data: RunData) -> dict[str, Any]:
    # the cache and what each epoch detected go when the run ends, and trackers write on after the manifest
    others = {folder.cache, folder.scored_epochs, folder.drawn_data, folder.tracked}
    files = [p for p in sorted(folder.path.rglob("*")) if p.is_file() and not others.intersection(p.parents)]
    named = {p.relative_to(folder.path).as_posix(): p for p in files if p != folder.log}
    return {
        "command": facts.command,
        "seed": facts.config.train.seed,
        "machine": machine_name(),
        "device": str(facts.device),
        "precision": facts.precision,
        "threads": torch.get_num_threads(),
        "versions": {
            "detect_transfer": detect_transfer.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            **{name: version(name) for name in _PACKAGES_OF_FAMILIES if name in sys.modules},
            "polars": pl.__version__,
        },
        "code_sha256": code_sha256(),
        "peak_memory_mb": peak_memory_mb(facts.device),
        "energy_joules": facts.joules,
        "weights_sha256": facts.source.sha256 if facts.source else None,
        "data_sha256": data.fingerprint,
        SETTINGS: settings_sha256(folder.config),
        "files": {name: {"bytes": p.stat().st_size, "sha256": sha256_file(p)} for name, p in named.items()},
    }
