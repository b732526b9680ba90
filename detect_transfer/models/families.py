"""`FAMILIES`: every model family by name, and building a detector of one."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from detect_transfer.config import Model, Transfer
from detect_transfer.core.class_names import match_class_names
from detect_transfer.core.errors import DetectTransferError, InputError, did_you_mean, raise_problems
from detect_transfer.models.base import WEAK_EVIDENCE, ClassInit, Detector, Family, TransferReport
from detect_transfer.models.class_evidence import HIT_SCORE, SHARE, ClassEvidence, quoted
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.models.torchvision.family import TorchvisionFamily
from detect_transfer.models.transformers.family import TransformersFamily
from detect_transfer.models.yolo.family import YoloFamily

logger = logging.getLogger(__name__)

FAMILIES: dict[str, Family] = {
    "yolo": YoloFamily(),
    "transformers": TransformersFamily(),  # before torchvision, which takes whatever has a backbone
    "torchvision": TorchvisionFamily(),
}


def check_model(model: Model) -> None:
    """Check the model part of a config by the rules of its family.

    Raises:
        InputError: The family is unknown, a key is for another family, or the weights are missing.
    """
    if model.family not in FAMILIES:
        raise InputError(
            "CONFIG_VALUE",
            "there is no such model family",
            field="model.family",
            value=model.family,
            remedy=did_you_mean(model.family, list(FAMILIES)),
        )
    own = FAMILIES[model.family]
    problems: list[DetectTransferError] = [
        InputError(
            "CONFIG_VALUE",
            f"only the {other.name} family has this",
            field=f"model.{key}",
            value=getattr(model, key),
            remedy=f"remove it, or set model.family to {other.name}",
        )
        for other in FAMILIES.values()
        for key in sorted(other.own_keys - own.own_keys)
        if getattr(model, key) != Model.model_fields[key].default
    ]
    if own.default_weights is None and model.weights == Model.model_fields["weights"].default:
        problems.append(
            InputError(
                "CONFIG_VALUE",
                f"the {own.name} family has no weights to start from by default",
                field="model.weights",
                remedy=f"give a known name such as {own.known_weights()[0]}, a path, or scratch",
            )
        )
    raise_problems(problems)


def check_class_names(transfer: Transfer, class_names: Sequence[str], source: SourceWeights) -> None:
    """Raise unless the class map and the kept classes name target classes and classes of the source; lists all faults.

    Args:
        transfer: The transfer part of the config.
        class_names: The target classes.
        source: The pretrained model.
    """
    lacking = [name for name in transfer.keep_source_classes if name not in source.class_names]
    raise_problems(
        [
            *_class_map_problems(transfer.named_classes, class_names, source.class_names),
            *(_no_class("source", name, source.class_names, "transfer.keep_source_classes") for name in lacking),
        ]
    )


def build_detector(
    model: Model,
    transfer: Transfer,
    class_names: Sequence[str],
    source: SourceWeights | None,
    evidence: ClassEvidence | None = None,
) -> tuple[Detector, TransferReport]:
    """Build the detector of a run for `class_names`, from its source or from scratch.

    Args:
        model: The model part of the config.
        transfer: The transfer part of the config.
        class_names: The target classes in order.
        source: The pretrained model; None trains from scratch.
        evidence: What the target classes look like to the source, where it was asked.

    Raises:
        InputError: The architecture is not known, it or the family is not that of the weights, or the class map or the
            kept classes name a class that does not exist.
    """
    check_model(model)
    family = FAMILIES[model.family]
    if source is None:
        detector = family.from_scratch(model, class_names)
        new = tuple(detector.module.state_dict())
        return detector, TransferReport(tuple(ClassInit(name, (), "random") for name in class_names), 0, new)
    check_source(model, source)
    check_class_names(transfer, class_names, source)
    class_map = transfer.named_classes | {name: (name,) for name in transfer.keep_source_classes}
    rows = class_inits(source, class_names, class_map, transfer, evidence)
    for line in contradictions(rows, evidence):
        logger.warning("%s", line)
    detector, report = family.from_source(source, class_names, rows, model)
    if report.lacking:
        logger.warning(
            "%s fits %s in part: %d tensors start at random: %s",
            source.path.name,
            detector.arch,
            len(report.lacking),
            tensor_groups(report.lacking),
        )
    return detector, replace(report, evidence=evidence)


def load_detector(source: SourceWeights) -> Detector:
    """Build a detector with exactly the classes of its weights.

    Raises:
        InputError: They are not whole: what is missing would be random, and so would be what it predicts.
    """
    rows = tuple(ClassInit(name, (name,), "same name") for name in source.class_names)
    detector, report = FAMILIES[source.family].from_source(source, source.class_names, rows, None)
    if report.lacking:
        raise InputError(
            "WEIGHTS_ARCH",
            f"{len(report.lacking)} tensors of {detector.arch} are missing or have another shape: "
            f"{tensor_groups(report.lacking)}",
            where=source.path,
            remedy="give whole weights; training can start from these",
        )
    return detector


def tensor_groups(names: Sequence[str]) -> str:
    """Return the first parts of tensor names with their counts, such as `model.23.cv3 (18)`."""
    counts = Counter(".".join(name.split(".")[:3]) for name in names)
    return ", ".join(f"{group} ({count})" for group, count in counts.items())


def class_inits(
    source: SourceWeights,
    class_names: Sequence[str],
    class_map: Mapping[str, Sequence[str]],
    transfer: Transfer,
    evidence: ClassEvidence | None = None,
) -> tuple[ClassInit, ...]:
    """Decide from which source classes the head row of each target class starts.

    What the class map names comes first, then a class of the same name, then what the source detects.

    Args:
        source: The pretrained model.
        class_names: The target classes in order.
        class_map: Target class to source classes; none for a class that is new.
        transfer: Whether classes of one name meet, as `match_class_names` tells, and how new classes start.
        evidence: What the target classes look like to the source, where it was asked.
    """
    matched = {} if evidence is None else {each.target: each for each in evidence.matches if each.sources}
    new = "random" if transfer.new_class_init == "random" else "mean of all rows"
    same = match_class_names(class_names, source.class_names) if transfer.match_names else {}
    rows = []
    for name in class_names:
        if name in class_map:
            rows.append(ClassInit(name, tuple(class_map[name]), "class_map" if class_map[name] else new))
        elif name in same:
            rows.append(ClassInit(name, (same[name],), "same name"))
        elif name in matched:
            how = "evidence" if matched[name].match == "clear" else WEAK_EVIDENCE
            rows.append(ClassInit(name, matched[name].sources, how))
        else:
            rows.append(ClassInit(name, (), new))
    return tuple(rows)


def contradictions(rows: Sequence[ClassInit], evidence: ClassEvidence | None) -> list[str]:
    """Return a sentence for each class that starts from another source class than the one that fires on its boxes."""
    matches = {} if evidence is None else {each.target: each for each in evidence.matches}
    lines = []
    for row in rows:
        match = matches.get(row.target)
        if match is None or row.how not in ("class_map", "same name") or not row.sources:
            continue
        own, seen = max(map(match.score_of, row.sources)), match.score
        if seen is not None and seen >= HIT_SCORE and own < SHARE * seen:
            origin = (
                f"transfer.class_map.{row.target}" if row.how == "class_map" else f"class {row.target}, by its name,"
            )
            lines.append(
                f"{origin} starts from {quoted(row.sources)}, which scores {own:.2f} on its {match.boxes} boxes; "
                f"{quoted(match.sources)} scores {seen:.2f}. It is followed all the same"
            )
    return lines


def check_source(model: Model, source: SourceWeights) -> None:
    """Raise unless weights are of the family and the architecture that the config asks for.

    Raises:
        InputError: They are of another one.
    """
    for code, key, wanted, actual in (
        ("WEIGHTS_FAMILY", "family", model.family, source.family),
        ("WEIGHTS_ARCH", "arch", model.arch, source.arch),
    ):
        if wanted and actual and wanted != actual:
            raise InputError(
                code,
                f"the weights are of {actual}",
                where=source.path,
                field=f"model.{key}",
                value=wanted,
                remedy=f"set model.{key} to {actual}, or give weights of {wanted}",
            )


def _class_map_problems(
    class_map: Mapping[str, Sequence[str]], targets: Sequence[str], sources: Sequence[str]
) -> list[DetectTransferError]:
    problems: list[DetectTransferError] = []
    for target, mapped in class_map.items():
        if target not in targets:
            problems.append(_no_class("target", target, targets, "transfer.class_map"))
        lacking = [name for name in mapped if name not in sources]
        problems += [_no_class("source", name, sources, f"transfer.class_map.{target}") for name in lacking]
    return problems


def _no_class(side: str, name: str, names: Sequence[str], field: str) -> InputError:
    return InputError(
        "CLASS_UNKNOWN",
        f"there is no such {side} class",
        field=field,
        value=name,
        remedy=did_you_mean(name, list(names)),
    )
