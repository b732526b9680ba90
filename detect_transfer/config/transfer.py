"""What is taken over from the source, and what trains when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from detect_transfer.config.strict import Positive, Rate, Strict

Stage = Literal["stem", "stage1", "stage2", "stage3", "stage4", "neck", "rpn", "head"]
STAGES: tuple[Stage, ...] = ("stem", "stage1", "stage2", "stage3", "stage4", "neck", "rpn", "head")
StrategyName = Literal["auto", "scratch", "head_only", "frozen_backbone", "full", "gradual", "discriminative"]
Schedule = Literal["cosine", "linear", "constant", "one_cycle"]
BatchNorm = Literal["with_stage", "frozen", "all"]
Start = Literal["previous", "best", "source"]


class Phase(Strict):
    """A stretch of training: which stages, for how many epochs, at which rate, and what ends it sooner."""

    epochs: Positive
    train: Literal["all"] | Annotated[list[Stage], Field(min_length=1)] = "all"
    lr: Rate = 1e-3
    lr_decay_per_stage: Annotated[float, Field(gt=0, le=1)] = 1.0  # each stage further from the head learns slower
    start: Start = "previous"  # where it goes on from: the phase before, the best epoch so far, or the source
    schedule: Schedule | None = None  # None: that of `train`
    warmup: Annotated[float, Field(ge=0, le=1)] | None = None  # share of its steps with a rising rate; None: of `train`
    batchnorm: BatchNorm | None = None  # None: that of `transfer`
    pull_to_source: Annotated[float, Field(ge=0)] | None = None  # None: that of `transfer`
    cache_features: bool | Positive = False  # how many augmented views of each image; true: 4
    until: dict[Literal["AP", "AP50", "AP75"], Annotated[float, Field(gt=0, le=1)]] = Field(
        default_factory=dict
    )  # reached: good enough
    on_until: Literal["stop", "next"] = "stop"  # then training ends, or the next phase begins
    patience: Positive | None = None  # epochs without a better AP before the next phase begins


class Transfer(Strict):
    """What is taken over from the source, and what trains when: a named strategy or a list of phases."""

    strategy: StrategyName | None = None  # None with no phases: auto
    phases: list[Phase] | None = None
    class_map: dict[str, str | list[str]] = Field(default_factory=dict)  # target class: source classes of its head rows
    match_names: bool = True  # classes of one name (case, spaces and hyphens aside) start from that row
    new_class_init: Literal["mean", "random"] = "mean"  # rows of classes that the source does not have
    keep_source_classes: list[str] = Field(
        default_factory=list
    )  # classes of the source that the detector is to go on finding
    keep_from: Literal["pseudo_labels", "ignore"] = "pseudo_labels"  # what the source finds of them in the new images
    keep_score: Annotated[float, Field(gt=0, lt=1)] = 0.5  # from which score on the source's finding is a target
    batchnorm: BatchNorm = "with_stage"  # whether running statistics move with their stage, never, or always
    pull_to_source: Annotated[float, Field(ge=0)] = 0.0  # L2-SP strength
    cache_features: bool | Positive = False  # of a named strategy; phases say their own
    new_class_lr_factor: Annotated[float, Field(ge=1, le=100)] = (
        10.0  # rate of a class layer with new classes, in stage rates
    )

    @model_validator(mode="after")
    def _one_plan(self) -> Transfer:
        if self.strategy is not None and self.phases is not None:
            raise ValueError("give transfer.strategy or transfer.phases, not both")
        if self.phases is not None and not self.phases:
            raise ValueError("transfer.phases is empty: give at least one phase")
        return self
