"""What training starts from: the weights, which of several know the data best, and which classes they know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from detect_transfer.config import RunConfig
from detect_transfer.core.errors import InputError
from detect_transfer.core.io import write_json
from detect_transfer.data.run_data import RunData
from detect_transfer.models import find_weights, load_weights
from detect_transfer.models.class_evidence import ClassEvidence
from detect_transfer.models.families import check_class_names, check_model
from detect_transfer.models.source_choice import SourceRank
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.workflows.class_evidence import ask_source
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.source_choice import rank_sources
from detect_transfer.workflows.watch import Watch


def load_source(config: RunConfig) -> SourceWeights | None:
    """Return the weights that training starts from; None where it starts from scratch.

    Raises:
        InputError: They are not there or not for this model, or a key needs a source and there is none.
    """
    check_model(config.model)
    if config.model.weights == "scratch" or config.transfer.strategy == "scratch":
        for key in ("class_map", "keep_source_classes", "pull_to_source"):
            if getattr(config.transfer, key) not in ([], 0, "auto", "none"):
                raise InputError(
                    "SCRATCH",
                    "training from scratch has no source",
                    field=f"transfer.{key}",
                    remedy="remove it, or give model.weights",
                )
        return None
    for weights in config.model.sources:  # what is wrong with any is said before there is a folder
        find_weights(weights)
    return load_weights(find_weights(config.model.weights))


def with_best_source(
    config: RunConfig, data: RunData, folder: RunFolder, accelerator: Accelerator, watch: Watch
) -> RunConfig:
    """Rank the sources on the main process, keep the table, and return the config that starts from the best."""
    ranks: list[Any] = [[]]
    if accelerator.is_main_process:
        ranks = [rank_sources(config, data, device=accelerator.device, on_stage=watch.on_stage)]
        write_json(folder.sources, [rank.as_dict() for rank in ranks[0]])
    broadcast_object_list(ranks)
    return starting_from(config, ranks[0])


def starting_from(config: RunConfig, ranks: Sequence[SourceRank]) -> RunConfig:
    """Return the config that starts from the source that was chosen."""
    chosen = next(rank.weights for rank in ranks if rank.chosen)
    return config.model_copy(update={"model": config.model.model_copy(update={"weights": chosen})})


def evidence_of(
    config: RunConfig, data: RunData, source: SourceWeights | None, accelerator: Accelerator, watch: Watch
) -> ClassEvidence | None:
    """Ask the source on the main process, and let the others know."""
    if source is None:
        return None
    check_class_names(config.transfer, data.train.class_names, source)
    answers: list[ClassEvidence | None] = [None]
    if accelerator.is_main_process and config.transfer.class_map != "none":
        imgsz, device = config.train.imgsz, accelerator.device
        answers = [ask_source(source, data, imgsz=imgsz, device=device, on_stage=watch.on_stage)]
    broadcast_object_list(answers)
    return answers[0]
