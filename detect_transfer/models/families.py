"""`FAMILIES`: every model family by name, and building a detector of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detect_transfer.config import Model, Transfer
from detect_transfer.core.errors import DetectTransferError, InputError, did_you_mean, raise_problems
from detect_transfer.models.base import ClassInit, Detector, TransferReport, class_inits
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.models.torchvision.detector import TorchvisionDetector
from detect_transfer.models.yolo.detector import YoloDetector

FAMILIES: dict[str, Any] = {"yolo": YoloDetector, "torchvision": TorchvisionDetector}


def build_detector(
    model: Model, transfer: Transfer, class_names: Sequence[str], source: SourceWeights | None
) -> tuple[Detector, TransferReport]:
    """Build the detector of a run for `class_names`, from its source or from scratch.

    Args:
        model: The model part of the config.
        transfer: The transfer part of the config.
        class_names: The target classes in order.
        source: The pretrained model; None trains from scratch.

    Raises:
        InputError: The architecture is not known, it or the family is not that of the weights, or the class map or the
            kept classes name a class that does not exist.
    """
    family = FAMILIES[model.family]
    if source is None:
        detector = family.from_scratch(model, class_names)
        new = tuple(detector.module.state_dict())
        return detector, TransferReport(tuple(ClassInit(name, (), "random") for name in class_names), 0, new)
    _check_kind(model, source)
    class_map = {t: [s] if isinstance(s, str) else list(s) for t, s in transfer.class_map.items()}
    kept = transfer.keep_source_classes
    lacking = [name for name in kept if name not in source.class_names]
    raise_problems(
        [
            *_class_map_problems(class_map, class_names, source.class_names),
            *(_no_class("source", name, source.class_names, "transfer.keep_source_classes") for name in lacking),
        ]
    )
    class_map |= {name: [name] for name in kept}
    rows = class_inits(source, class_names, class_map, transfer)
    built: tuple[Detector, TransferReport] = family.from_source(source, class_names, rows, model)
    return built


def load_detector(source: SourceWeights) -> Detector:
    """Build a detector with exactly the classes of its weights.

    Raises:
        InputError: They are of no family that is known here, or not whole.
    """
    rows = tuple(ClassInit(name, (name,), "same name") for name in source.class_names)
    detector: Detector = FAMILIES[_family_of(source)].from_source(source, source.class_names, rows, None)[0]
    return detector


def _check_kind(model: Model, source: SourceWeights) -> None:
    """Raise unless weights are of the family and the architecture that the config asks for."""
    if (kind := _family_of(source)) != model.family:
        raise InputError(
            "WEIGHTS_FAMILY",
            f"the weights are of the {kind} family",
            where=source.path,
            field="model.family",
            value=model.family,
            remedy=f"set model.family to {kind}, or give weights of the {model.family} family",
        )
    if model.arch is not None and source.arch and model.arch != source.arch:
        raise InputError(
            "WEIGHTS_ARCH",
            f"the weights are of {source.arch}",
            where=source.path,
            field="model.arch",
            value=model.arch,
            remedy=f"set model.arch to {source.arch}, or give weights of {model.arch}",
        )


def _family_of(source: SourceWeights) -> str:
    """Return the family of weights; those of the vendor of YOLO name none."""
    family = source.metadata.get("family", "yolo")
    if family not in FAMILIES:
        raise InputError(
            *("WEIGHTS_CARD", "its header names a family that is not known here"),
            where=source.path,
            field="family",
            value=family,
            remedy=did_you_mean(family, list(FAMILIES)),
        )
    return family


def _class_map_problems(
    class_map: dict[str, list[str]], targets: Sequence[str], sources: Sequence[str]
) -> list[DetectTransferError]:
    problems: list[DetectTransferError] = []
    for target, named in class_map.items():
        if target not in targets:
            problems.append(_no_class("target", target, targets, "transfer.class_map"))
        problems += [
            _no_class("source", name, sources, f"transfer.class_map.{target}") for name in named if name not in sources
        ]
        if not named:
            problems.append(_no_class("source", "", sources, f"transfer.class_map.{target}"))
    return problems


def _no_class(side: str, name: str, names: Sequence[str], field: str) -> InputError:
    return InputError(
        "CLASS_UNKNOWN",
        f"there is no such {side} class",
        field=field,
        value=name,
        remedy=did_you_mean(name, list(names)),
    )
