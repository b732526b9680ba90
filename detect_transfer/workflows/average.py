"""One detector of several runs: the average of their best weights, where it scores better than each of them.

Source: Wortsman et al. 2022, "Model soups: averaging weights of multiple fine-tuned models improves accuracy without
increasing inference time".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from detect_transfer.config import RunConfig, absolute_paths, dump_config
from detect_transfer.core.annotations import Detections
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import new_folder, require_file, require_new, write_atomic, write_json
from detect_transfer.core.opening import real_path
from detect_transfer.core.written_links import MANIFEST
from detect_transfer.data.run_data import RunData, load_run_data, with_kept_classes
from detect_transfer.evaluation import Case, Scores, coco_metrics, parse_ignore_policy
from detect_transfer.evaluation.coco.threshold_matches import ThresholdMatches, match_at_thresholds
from detect_transfer.evaluation.selection import Candidates, Selection, selection_optimism
from detect_transfer.models import load_weights, save_weights
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.training.mixes import SoupKind, State, choose_soup, soup
from detect_transfer.workflows.evaluate import EvaluateOptions, data_set_of, score_all, write_page, write_scored
from detect_transfer.workflows.run_data_change import refuse_trained_images
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.trained_detector import TrainedDetector, load_trained

_OF_WEIGHTS = {  # what the header of weights says, in words
    "imgsz": "input size",
    "category_ids": "category ids",
    "intake": "window of values",
    "backbone": "backbone",
    "anchors": "anchors",
}
OnScored = Callable[[str], None]


@dataclass(frozen=True)
class Averaged:
    """What an average of runs came to.

    Args:
        folder: Its weights, scores and report.
        scores: Of the best candidate.
        runs: The runs whose average, or whose weights alone, it is.
        selection: What there was to choose from, and what the choice adds to its AP.
    """

    folder: Path
    scores: Scores
    runs: tuple[str, ...]
    selection: Selection


def average_runs(
    runs: Sequence[Path], out: Path, *, device: str = "auto", on_scored: OnScored = lambda _: None
) -> Averaged:
    """Score the best weights of runs and their averages on their validation split, and write the best as a detector.

    Scored are each run, the mean of all, and the mean to which each run is added that does not lower its AP, the best
    run first. What is written can be predicted with, evaluated and exported as a run can.

    Args:
        runs: The folders of finished runs of one config, such as of several seeds.
        out: The folder to make.
        device: auto, cpu or cuda.
        on_scored: Called with a line for each candidate.

    Raises:
        InputError: There are fewer than two, they differ in architecture, classes, input or validation images, or one
            was trained on images that are scored now.
    """
    require_new(out)
    members = _members(runs)
    first = members[0].folder
    config = first.read_config()
    data = load_run_data(config.data, drawn=first.drawn_data, for_training=False)
    for member in members:
        refuse_trained_images(member.folder, data)
    data = with_kept_classes(data, config.transfer.keep_source_classes)
    scorer = _Scorer(load_trained(first.path, device=device), data, config, on_scored)
    for member in members:
        scorer.score("run", (member.name,), member.weights.tensors)
    weights = {member.name: member.weights.tensors for member in members}
    order = sorted(weights, key=lambda name: -scorer.candidates[name,].ap)

    def score(kind: SoupKind, names: tuple[str, ...]) -> float:
        return scorer.score(kind, names, soup([weights[name] for name in names]))

    chosen = choose_soup(order, scorer.candidates[order[0],].ap, score)
    n_averages = len(scorer.candidates) - len(members)
    found = selection_optimism([each.matches for each in scorer.candidates.values()])
    selection = replace(found, candidates=Candidates(len(members), n_averages, of="run"))
    with new_folder(out) as building:
        best = soup([weights[name] for name in chosen])
        metadata = {name: text for name, text in members[0].weights.metadata.items() if isinstance(text, str)}
        save_weights(RunFolder(building).best, best, metadata)
        scores = _write(RunFolder(building), out.name, scorer, members, chosen, selection)
    return Averaged(out, scores, chosen, selection)


@dataclass(frozen=True)
class _Member:
    """A run that is averaged: its name among the others, its folder, its best weights, and the images that it used."""

    name: str
    folder: RunFolder
    weights: SourceWeights
    used: dict[str, list[str]]


@dataclass(frozen=True)
class _Candidate:
    kind: str
    ap: float
    matches: ThresholdMatches
    detections: Detections


class _Scorer:
    """Scores candidates on the validation images; `candidates` holds them by the names of their runs."""

    def __init__(self, trained: TrainedDetector, data: RunData, config: RunConfig, on_scored: OnScored) -> None:
        self.candidates: dict[tuple[str, ...], _Candidate] = {}
        self.data = data
        self.config = config
        self._trained = trained
        self._on_scored = on_scored
        self._images = [(i, data.paths[i]) for i in data.val.images["image_id"]]
        self._category_ids = data.val.categories["category_id"].sort().to_list()

    def score(self, kind: str, names: tuple[str, ...], state: State) -> float:
        """Score one candidate; return its AP, -1 where there is none."""
        self._trained.network.module.load_state_dict(dict(state))
        detections = self._trained.find(self._images, self._category_ids)
        policy = self.config.evaluate.ignore_policy
        ap = coco_metrics(self.data.val, detections, ignore_policy=policy)["AP"]
        case = Case(self.data.val, detections, parse_ignore_policy(policy))
        candidate = _Candidate(kind, -1.0 if ap is None else ap, match_at_thresholds(case), detections)
        self.candidates[names] = candidate
        self._on_scored(f"{kind:12}  AP {candidate.ap:.4f}  {' + '.join(names)}")
        return candidate.ap


def _members(runs: Sequence[Path]) -> list[_Member]:
    """Read the runs and refuse those that cannot be averaged."""
    if len({real_path(run) for run in runs}) < max(2, len(runs)):
        raise InputError(
            "AVERAGE_RUNS",
            "an average is of two different runs or more",
            field="RUN",
            value=" ".join(map(str, runs)),
            remedy="detect-transfer average RUN RUN ... --out FOLDER",
        )
    names = [run.name for run in runs]
    members = []
    for run in runs:
        folder = RunFolder(run)
        require_file(folder.manifest, what="the manifest of a finished run")
        name = run.name if names.count(run.name) == 1 else str(run)
        weights = load_weights(folder.best)
        folder.as_written(folder.best)
        members.append(_Member(name, folder, weights, folder.read_used_images()))
    for member in members[1:]:
        _check_alike(members[0], member)
    return members


def _shapes(weights: SourceWeights) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()}


def _check_alike(first: _Member, other: _Member) -> None:
    """Refuse a run whose weights or validation images are of another kind than those of the first."""
    one, two = first.weights, other.weights
    facts: dict[str, tuple[Any, Any]] = {
        "architecture": (one.arch, two.arch),
        "classes": (one.class_names, two.class_names),
        **{name: (one.metadata.get(key), two.metadata.get(key)) for key, name in _OF_WEIGHTS.items()},
        "shapes of tensors": (_shapes(one), _shapes(two)),
        "validation images": (sorted(first.used.get("val", [])), sorted(other.used.get("val", []))),
    }
    for what, (here, there) in facts.items():
        if here != there:
            raise InputError(
                "AVERAGE_RUNS",
                f"its {what} are not those of {first.folder.path}",
                where=other.folder.path,
                remedy="average runs of one config that differ in their seed, or leave this one out",
            )
    if shared := set(first.used.get("val", [])) & set(other.used.get("train", [])):
        raise InputError(
            "AVERAGE_RUNS",
            f"it was trained on {len(shared)} of the validation images of {first.folder.path}",
            where=other.folder.path,
            remedy="average runs that were trained on one part of the data, or leave this one out",
        )


def _write_config(folder: RunFolder, first: RunFolder, config: RunConfig) -> None:
    """Write a config that finds the data of the first run, and brings its scoring settings."""
    drawn = {"path": first.drawn_data, "format": "data_folder", "options": {}, "synthetic": None}
    changes = drawn if (first.drawn_data / MANIFEST).is_file() else {}
    config = config.model_copy(update={"data": config.data.model_copy(update=changes), "out": None})
    write_atomic(folder.config, dump_config(absolute_paths(config)))


def _write(
    folder: RunFolder,
    title: str,
    scorer: _Scorer,
    members: Sequence[_Member],
    chosen: tuple[str, ...],
    selection: Selection,
) -> Scores:
    """Write scores, thresholds, the report, and what predicting and exporting ask of a run."""
    config, data = scorer.config, scorer.data
    candidate = scorer.candidates[chosen]
    case = Case(data.val, candidate.detections)
    path = members[0].folder.data_of(config.data)
    options = EvaluateOptions(ignore_policy=config.evaluate.ignore_policy)
    scores, metrics = score_all(case, options, data_set=data_set_of(path, data.format))
    text = f"{selection.sentence}; the epochs of each run were chosen on it before"
    record = {"split": config.data.val_split, **selection.as_dict(), "text": text}
    write_scored(folder.path, data.val, candidate.detections, scores, metrics=metrics, extra={"selection": record})
    rows = [
        {"kind": each.kind, "runs": names, "AP": each.ap, "best": names == chosen}
        for names, each in scorer.candidates.items()
    ]
    runs = [{"run": str(m.folder.path), "weights_sha256": m.weights.sha256} for m in members]
    write_json(folder.average, {"runs": runs, "candidates": rows, "selection": record})
    used = {part: sorted({h for m in members for h in m.used.get(part, [])}) for part in ("train", "val")}
    write_json(folder.used_images, used)
    _write_config(folder, members[0].folder, config)
    facts = {"Average of": ", ".join(chosen), "Candidates": str(selection.candidates)}
    write_page(folder.report, case, scores, facts=facts, title=title, metrics=metrics, selection=text)
    return scores
