"""A training run, from the config to the report: the whole story from top to bottom.

    config -> data -> weights -> detector -> plan -> training -> best -> detections -> scores -> report

Everything that can be wrong is looked at before the run folder is made. The folder's `manifest.json` is written last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from detect_transfer.config import Model, RunConfig, absolute_paths, dump_config
from detect_transfer.core.disk import require_room
from detect_transfer.core.io import require_new, write_atomic, write_json
from detect_transfer.core.opening import real_path
from detect_transfer.data.native import require_path
from detect_transfer.data.run_checks import run_findings
from detect_transfer.data.run_data import RunData, load_run_data, with_kept_classes
from detect_transfer.models import build_detector
from detect_transfer.models.base import Detector, TransferReport
from detect_transfer.models.class_evidence import ClassEvidence
from detect_transfer.models.device import choose_device
from detect_transfer.models.families import check_class_names
from detect_transfer.models.hub import architecture_of
from detect_transfer.models.source_weights import SourceWeights
from detect_transfer.training.augment import Augmenter, augment_lines, mixing_lines
from detect_transfer.training.checkpoint import Progress
from detect_transfer.training.context import TrainContext
from detect_transfer.training.engine import fit
from detect_transfer.training.faults import process_errors
from detect_transfer.training.mirroring import Mirroring, choose_mirroring
from detect_transfer.training.plan import Plan, make_plan, parts_note, plan_table
from detect_transfer.training.pseudo_labels import with_keep_from
from detect_transfer.training.samples import box_sides
from detect_transfer.training.strategies import classes_of_source
from detect_transfer.training.train_sample import SMALLEST_SIDE
from detect_transfer.workflows.check import finding_lines
from detect_transfer.workflows.class_evidence import ask_source
from detect_transfer.workflows.evaluate import data_set_of, has_own_classes
from detect_transfer.workflows.result_lines import result_lines
from detect_transfer.workflows.resume import begin_resumed, read_state
from detect_transfer.workflows.run_clock import RunClock, clock_of, timed
from detect_transfer.workflows.run_config import new_run_folder
from detect_transfer.workflows.run_energy import EnergyMeter
from detect_transfer.workflows.run_folder import RunFolder
from detect_transfer.workflows.run_log import open_run
from detect_transfer.workflows.run_source import ledger_lines, make_run_data
from detect_transfer.workflows.source_choice import rank_sources
from detect_transfer.workflows.start_lines import start_lines
from detect_transfer.workflows.start_source import evidence_of, load_source, starting_from, with_best_source
from detect_transfer.workflows.trackers import tracking
from detect_transfer.workflows.train_context import (
    RunContext,
    batch_of_device,
    groups_of,
    make_accelerator,
    make_context,
)
from detect_transfer.workflows.train_outputs import RunFacts, RunScores, write_outputs
from detect_transfer.workflows.watch import Watch

logger = logging.getLogger(__name__)

_FURTHER_BYTES = 16 << 20  # detections, scores, the report


@dataclass(frozen=True)
class RunResult:
    """What a run came to.

    Args:
        folder: The run folder.
        scores: What its best weights score, and what they were chosen by.
        progress: How training went.
        train_images: Images of an epoch.
        loading_seconds: What reading and fitting the images took before the first epoch.
    """

    folder: Path
    scores: RunScores
    progress: Progress
    train_images: int
    loading_seconds: float

    @property
    def metrics(self) -> dict[str, float | None]:
        """The twelve numbers on the validation split."""
        return self.scores.val


def train(config: RunConfig, *, name: str, command: str, watch: Watch | None = None, resume: bool = False) -> RunResult:
    """Train a detector by a config and write the run folder.

    Args:
        config: What to do.
        name: The name of the config; the folder is `runs/<name>`, numbered, where the config names none.
        command: The command line, for the manifest.
        watch: Is called as it goes.
        resume: Go on with the run in `config.out`.

    Raises:
        InputError: Config, data or weights are wrong, or training diverged.
        ResourceError: Weights, memory or disk are missing.
        Interrupted: It was asked to stop; the last step is kept.
    """
    watch = (watch or Watch()).logged()
    accelerator = make_accelerator(config.train.device)
    source = _checked_source(config, accelerator.num_processes, resume=resume)
    folder = RunFolder(_make_folder(config, name, accelerator, resume=resume))
    main = accelerator.is_main_process
    with (
        open_run(folder, main=main, resume=resume),
        tracking(config, folder, watch, main=main) as tracked,
        EnergyMeter() as energy,
        process_errors(folder.path),
    ):
        watch, began = tracked.watch, time.monotonic()
        watch.on_stage(f"run folder: {folder.path}")
        data = _load_data(config, folder, accelerator, watch)
        augmenter, mirroring = _augmentation(config, data, folder)
        watch.say(mirroring.sentence, *augment_lines(augmenter))
        progress, states = read_state(folder, config) if resume else (Progress(), None)
        if config.model.sources and not resume:
            config = with_best_source(config, data, folder, accelerator, watch)
            source = load_source(config)
        evidence = evidence_of(config, data, source, accelerator, watch)
        detector, report, plan = _prepare(config, data, source, progress, evidence)
        _require_room(folder, detector)
        _say_plan(plan, detector, watch, parts=config.train.accumulate * accelerator.num_processes)
        initial = {k: t.clone() for k, t in detector.module.state_dict().items()}
        run = RunContext(folder, accelerator, augmenter, watch)
        context = make_context(config, detector, plan, data, source=(source, report), run=run)
        watch.say(*start_lines(config, data, context), *mixing_lines(augmenter, plan, config))
        _listen(context, progress, watch, clock_of(context, progress, data))
        if states is not None:
            begin_resumed(context, states, folder, config)
        _keep_config(folder, config)
        loading = time.monotonic() - began
        watch.on_stage("training")
        fit(context, states)
        watch.on_stage("scoring the best weights and writing the report")
        joules = None if resume else energy.joules  # what it used before is not known
        how = accelerator.device, context.precision, mirroring, joules
        facts = RunFacts(config, command, plan, report, source, initial, progress, *how)
        scores = write_outputs(folder, detector, data, facts, watch) if main else RunScores({})
        tracked.finish(scores.val, scores.test)
        accelerator.wait_for_everyone()
        for line in result_lines(folder, scores, progress) if main else ():
            logger.info(line)
        return RunResult(folder.path, scores, progress, data.train.images.height, loading)


def _checked_source(config: RunConfig, devices: int, *, resume: bool) -> SourceWeights | None:
    """Refuse what can be seen to be wrong before there is a run folder, and return the pretrained model."""
    batch_of_device(config.train.batch, devices)
    if not resume:  # which has a data folder of its own where it needed one
        require_path(config.data)
    source = load_source(config)
    Augmenter(config.augment, imgsz=config.train.imgsz)
    return source


def _keep_config(folder: RunFolder, config: RunConfig) -> None:
    """Write the config into the run folder, with paths that hold from anywhere."""
    lasting = absolute_paths(config).model_copy(update={"out": folder.path.absolute()})
    write_atomic(folder.config, dump_config(lasting))


def _say_plan(plan: Plan, detector: Detector, watch: Watch, *, parts: int) -> None:
    """Show what trains when at which rate, and what batches in so many parts do to it."""
    watch.on_plan(plan, plan_table(plan, detector.stages(), detector.module.state_dict()))
    watch.say(*parts_note(plan, parts))


def _listen(context: TrainContext, progress: Progress, watch: Watch, clock: RunClock) -> None:
    """Tell the watch what happens in training, and stop training where the watch asks for it."""
    context.stop, (context.on_step, context.on_epoch) = watch.stop, timed(watch, clock)
    context.on_stage, context.progress = watch.on_stage, progress


def dry_run(
    config: RunConfig, *, scratch: Path, on_stage: Callable[[str], None] = lambda _: None
) -> tuple[Plan, list[dict[str, Any]], TransferReport]:
    """Resolve data, weights, augmentation and plan without training; drawn scenes go to `scratch`."""
    require_path(config.data)
    source = load_source(config)
    Augmenter(config.augment, imgsz=config.train.imgsz)
    if config.data.synthetic is not None:
        few = config.data.synthetic.model_copy(update={"train_images": 32, "val_images": 32})
        config = config.model_copy(update={"data": config.data.model_copy(update={"synthetic": few})})
    folder = RunFolder(scratch)
    native = make_run_data(config, folder.drawn_data, on_stage=on_stage)
    data = load_run_data(config.data, drawn=folder.drawn_data, native=native)
    data = with_kept_classes(data, config.transfer.keep_source_classes)
    _augmentation(config, data, folder)
    if config.model.sources:
        ranks = rank_sources(config, data, device=choose_device(config.train.device), on_stage=on_stage)
        config = starting_from(config, ranks)
        source = load_source(config)
    evidence = None
    if source is not None:
        check_class_names(config.transfer, data.train.class_names, source)
        if config.transfer.class_map != "none":
            device = choose_device(config.train.device)
            evidence = ask_source(source, data, imgsz=config.train.imgsz, device=device, on_stage=on_stage)
    detector, report, plan = _prepare(config, data, source, Progress(), evidence)
    return plan, plan_table(plan, detector.stages(), detector.module.state_dict()), report


def _make_folder(config: RunConfig, name: str, accelerator: Accelerator, *, resume: bool) -> Path:
    """Make the run folder on the main process and tell the others its name."""
    chosen: list[Any] = [config.out]
    if accelerator.is_main_process and not resume:
        if config.out is None:
            chosen = [new_run_folder(name)]
        else:
            require_new(config.out, option="out=FOLDER")
            real_path(config.out).mkdir(parents=True, exist_ok=True)
    broadcast_object_list(chosen)
    return Path(chosen[0])


def _require_room(folder: RunFolder, detector: Detector) -> None:
    """Check that the disk has room for what training writes.

    That is a state of module, average and two moments of the optimizer, two files of weights, and a copy of each while
    it is written.
    """
    size = sum(t.numel() * t.element_size() for t in detector.module.state_dict().values())
    remedy = f"free some space, or give a folder on another disk: out=FOLDER; the run is in {folder.path}"
    need = 2 * (4 + 2) * size + _FURTHER_BYTES
    require_room(folder.path, need, what="weights and state of the training", remedy=remedy)


def _load_data(config: RunConfig, folder: RunFolder, accelerator: Accelerator, watch: Watch) -> RunData:
    native = None
    if accelerator.is_main_process:
        native = make_run_data(config, folder.drawn_data, on_stage=watch.on_stage, progress=watch.on_progress)
    accelerator.wait_for_everyone()
    watch.on_stage("checking the data")
    data = load_run_data(config.data, drawn=folder.drawn_data, native=native)
    data = with_kept_classes(data, config.transfer.keep_source_classes)
    if accelerator.is_main_process:
        watch.say(*ledger_lines(native, data.ledger))
        findings = run_findings(data, imgsz=config.train.imgsz, smallest_px=SMALLEST_SIDE, progress=watch.on_progress)
        lines = finding_lines(findings)
        write_json(folder.findings, [{"line": line, **asdict(f)} for line, f in zip(lines, findings, strict=True)])
        watch.say(*lines)
    return data


def _augmentation(config: RunConfig, data: RunData, folder: RunFolder) -> tuple[Augmenter, Mirroring]:
    path, names = folder.data_of(config.data), data.train.class_names
    data_set, own_classes = data_set_of(path, data.format), has_own_classes(path)
    mirroring = choose_mirroring(config.mirror, names, data_set=data_set, own_classes=own_classes)
    imgsz, table = config.train.imgsz, data.train
    augmenter = Augmenter(
        config.augment,
        imgsz=imgsz,
        shapes=groups_of(config, table).sizes,
        mirroring=mirroring,
        box_sides=box_sides(table, imgsz),
        mosaic=config.train.mosaic,
    )
    return augmenter, mirroring.done_by(augmenter.mirrors)


def _prepare(
    config: RunConfig, data: RunData, source: SourceWeights | None, progress: Progress, evidence: ClassEvidence | None
) -> tuple[Detector, TransferReport, Plan]:
    torch.manual_seed(config.train.seed)
    detector, report = build_detector(_model(config), config.transfer, data.train.class_names, source, evidence)
    source_classes = classes_of_source(None if source is None else [row.known for row in report.rows])
    progress.planned_epochs = progress.planned_epochs or [config.train.epochs]
    settings = config.train.model_copy(update={"epochs": progress.planned_epochs[0]})
    transfer = with_keep_from(config.transfer, detector.arch)
    plan = make_plan(transfer, settings, frozenset(detector.stages().values()), source_classes)
    progress.plan = plan.text
    for before, after in pairwise(progress.planned_epochs):
        plan = plan.extended(after - before)
    return detector, report, plan


def _model(config: RunConfig) -> Model:
    """Return the model part; what trains from scratch in spite of weights has their architecture."""
    model = config.model
    if config.transfer.strategy != "scratch" or model.weights == "scratch" or model.arch or model.backbone:
        return model
    return model.model_copy(update={"arch": architecture_of(model.weights)})
