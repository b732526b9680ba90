"""One finished run of a study, scored on other data: other data sets, and the source task with weights in between."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detect_transfer.config.study import MatrixData
from detect_transfer.core.annotations import AnnotationTable, Detections
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import sha256_file
from detect_transfer.core.ledger import Ledger
from detect_transfer.data.class_map import ClassMap, apply_class_map
from detect_transfer.evaluation import coco_metrics
from detect_transfer.workflows.study.plan import PlannedRun, StudyPlan
from detect_transfer.workflows.study.runs import drawn_ap

if TYPE_CHECKING:
    import torch

    from detect_transfer.models.base import Detector
    from detect_transfer.workflows.trained_detector import TrainedDetector

_VERSION = 3


@dataclass(frozen=True)
class OtherScorer:
    """Scores runs on the other data of a study.

    Args:
        plan: The study.
        source_task: Images of the source task; None where forgetting is not asked for.
        others: The other data sets by name.
    """

    plan: StudyPlan
    source_task: AnnotationTable | None
    others: Mapping[str, AnnotationTable] = field(default_factory=dict)

    def question(self) -> str:
        """Return a hash of what is scored: the data, their images, the class maps and the coefficients."""
        study, digest = self.plan.config.study, hashlib.sha256(str(_VERSION).encode())
        for part in (study.forgetting, *study.matrix.items()):
            digest.update(str(part).encode())
        for table in (*([] if self.source_task is None else [self.source_task]), *self.others.values()):
            for frame in (table.images, table.boxes.drop("source"), table.categories):
                digest.update(frame.write_csv().encode())
            for path in _files(table).values():
                state = path.stat()
                digest.update(f"{state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def scores(self, run: PlannedRun) -> dict[str, Any]:
        """Score a run on all that is asked for."""
        from detect_transfer.workflows.trained_detector import load_trained

        trained = load_trained(self.plan.folder.run(run.key).path)
        scores: dict[str, Any] = {"matrix": {}}
        for name, table in self.others.items():
            scores["matrix"][name] = _draws_of_common(trained, table, self.plan.config.study.matrix[name])
        if self.source_task is not None and self.kept_classes(run):
            scores["forgetting"] = self._forgetting(run, trained)
        return scores

    def kept_classes(self, run: PlannedRun) -> list[str]:
        """Return the classes that a run keeps, that nothing taught it, and that the source task has boxes of."""
        own = self.plan.data.splits[0].val.class_names
        present = [] if self.source_task is None else self.source_task.class_names
        return [n for n in self.plan.config.classes_kept_by(run.arm) if n not in own and n in present]

    def _forgetting(self, run: PlannedRun, trained: TrainedDetector) -> list[list[float | None]]:
        """Return a row a coefficient: the coefficient, AP on the test images, AP of the kept classes."""
        from detect_transfer.training.mixes import interpolate

        assert self.plan.config.study.forgetting is not None and self.source_task is not None  # noqa: PT018
        module = trained.network.module
        best = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        before, rows = _before_training(self.plan, run, trained.network)
        average = self.plan.folder.run(run.key).read_metrics().get("best_average") or {}
        share = float(average.get("share", 1.0))  # of the tuned weights in the best ones
        names = self.kept_classes(run)
        kept = _mapped(self.source_task, {name: (name,) for name in names})
        table = []
        for coefficient in (0.0, *sorted(set(self.plan.config.study.forgetting.coefficients))):
            state = before if coefficient == 0 else interpolate(before, best, coefficient / share, rows)
            module.load_state_dict(state)
            new = _ap(trained, self.plan.data.split_of(run.fold).test)
            table.append([coefficient, new, _ap(trained.counted_as({n: n for n in names}), kept)])
        return table


def _files(table: AnnotationTable) -> dict[int, Path]:
    from detect_transfer.workflows.evaluate_weights import image_files

    return dict(image_files(table))


def _detections(trained: TrainedDetector, truth: AnnotationTable) -> Detections:
    from detect_transfer.workflows.merged_classes import MergedClasses

    detections = trained.find(list(_files(truth).items()), range(len(trained.class_names)))
    return MergedClasses.of(trained, truth).apply(detections)


def _ap(trained: TrainedDetector, truth: AnnotationTable) -> float | None:
    return coco_metrics(truth, _detections(trained, truth), ignore_policy=trained.settings.ignore_policy)["AP"]


def _draws_of_common(trained: TrainedDetector, truth: AnnotationTable, data: MatrixData) -> list[float | None] | None:
    """Return AP on the classes that weights and data have in common, as the images are and on draws of them.

    None stands for that of a draw without an object, and for all where there is no common class.
    """
    from detect_transfer.workflows.evaluate_weights import meet_classes

    named = {target: (each,) if isinstance(each, str) else tuple(each) for target, each in data.class_map.items()}
    mapped = ClassMap("study.matrix", tuple(named.items()), rest="__drop__")
    try:
        table, meeting = meet_classes(truth, trained.class_names, mapped)
    except InputError as error:
        if error.code == "CLASS_UNMET":
            return None
        raise
    detections = _detections(trained.counted_as(meeting), table)
    draws = drawn_ap(table, detections, trained.settings.ignore_policy)
    return [value if math.isfinite(value) else None for value in draws.tolist()]


def _mapped(truth: AnnotationTable, targets: Mapping[str, tuple[str, ...]]) -> AnnotationTable:
    """Return a truth with these of its classes alone."""
    return apply_class_map(truth, ClassMap("study.forgetting", tuple(targets.items()), rest="__drop__"), Ledger())


def _before_training(
    plan: StudyPlan, run: PlannedRun, detector: Detector
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the tensors of a run before training, and the class rows that are the tuned ones at every coefficient.

    Raises:
        InputError: The source weights were changed since.
    """
    import torch

    from detect_transfer.models import find_weights, load_weights
    from detect_transfer.models.base import ClassInit
    from detect_transfer.models.families import FAMILIES
    from detect_transfer.training.mixes import class_rows_from_training

    folder = plan.folder.run(run.key)
    config, transfer = folder.read_config(), folder.read_transfer()
    path = find_weights(config.model.weights)
    if transfer["source"] is None or transfer["source"]["sha256"] != sha256_file(path):
        raise InputError(
            "STUDY_SOURCE",
            "the weights that the run started from were changed, so what it forgot of them cannot be said",
            where=path,
            remedy="put the weights back, or leave study.forgetting out",
        )
    inits = tuple(ClassInit(row["target"], tuple(row["sources"]), row["how"]) for row in transfer["head_rows"])
    torch.manual_seed(config.train.seed)
    family = FAMILIES[config.model.family]
    before, report = family.from_source(load_weights(path), detector.class_names, inits, config.model)
    device = next(detector.module.parameters()).device
    state = {name: tensor.to(device) for name, tensor in before.module.state_dict().items()}
    return state, class_rows_from_training(before, report)
