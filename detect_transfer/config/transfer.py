"""What is taken over from the source, and what trains when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from detect_transfer.config.strict import Positive, Rate, Strict

Stage = Literal["stem", "stage1", "stage2", "stage3", "stage4", "neck", "rpn", "head"]
STAGES: tuple[Stage, ...] = ("stem", "stage1", "stage2", "stage3", "stage4", "neck", "rpn", "head")
StrategyName = Literal[
    "auto",
    "scratch",
    "epoch0",
    "head_only",
    "frozen_backbone",
    "full",
    "head_then_full",
    "gradual",
    "discriminative",
]
Schedule = Literal["cosine", "linear", "constant", "one_cycle"]
BatchNorm = Literal["with_stage", "frozen", "all"]
Start = Literal["previous", "best", "source"]


class Phase(Strict):
    """A stretch of training: which stages, for how many epochs, at which rate, and what ends it sooner."""

    epochs: Positive
    """Epochs at most."""
    train: Literal["all"] | Annotated[list[Stage], Field(min_length=1)] = "all"
    """The stages that train, or `all`."""
    lr: Rate = 1e-3
    """The highest learning rate."""
    lr_decay_per_stage: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor on the rate for each stage further from the head."""
    start: Start = "previous"
    """What it goes on from: the phase before, the best epoch so far, or the source."""
    schedule: Schedule | None = None
    """Without it that of `train`."""
    warmup: Annotated[float, Field(ge=0, le=1)] | None = None
    """Without it that of `train`."""
    batchnorm: BatchNorm | None = None
    """Without it that of `transfer`."""
    pull_to_source: Annotated[float, Field(ge=0)] | None = None
    """Without it that of `transfer`."""
    cache_features: bool | Positive = False
    """Compute the frozen part once, in so many augmented views of each image; true means 4."""
    until: dict[Literal["AP", "AP50", "AP75"], Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    """The AP at which the phase is good enough."""
    on_until: Literal["stop", "next"] = "stop"
    """Then training stops, or the next phase begins."""
    patience: Positive | None = None
    """Epochs without a better AP before the next phase begins."""


class Transfer(Strict):
    """What is taken over from the source, and what trains when: a named strategy or a list of phases."""

    strategy: StrategyName | None = None
    """A named plan; without it and without phases `auto`, and `head_only` where kept source classes are untouched."""
    phases: list[Phase] | None = None
    """A plan of your own, instead of a strategy."""
    class_map: Literal["auto", "none"] | dict[str, str | list[str]] = "auto"
    """Which source class, or classes, a target class starts from. `auto`: classes meet by name, and where none has the
    name, what the source detects on the boxes of at most 500 training images tells. A mapping names some classes, such
    as `pedestrian: person`, with `[]` for a class that is new; `auto` sees to the rest. `none`: by name alone."""
    match_names: bool = True
    """Classes of the same name, apart from case, spaces and hyphens, start from that source class."""
    new_class_init: Literal["mean", "random"] = "mean"
    """What classes without a source class start from: the mean of all source classes, or random weights."""
    keep_source_classes: list[str] = Field(default_factory=list)
    """Source classes that the detector goes on finding."""
    keep_from: Literal["pseudo_labels", "ignore", "untouched"] | None = None
    """`pseudo_labels` and `ignore`: what the source finds of them in the training images becomes targets, or ignored
    regions, and all else teaches that they are not there. `untouched`: their scores have no part in the loss; not for
    Faster R-CNN and SSDlite, whose classes share one softmax. Without it `untouched`, for these two `pseudo_labels`."""
    keep_score: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The score from which a detection of the source counts."""
    interpolate: Literal["auto", "off"] | Annotated[list[Rate], Field(min_length=1)] = "auto"
    """When training has ended, averages of weights are scored on the validation split too, and the best is kept: the
    source with shares of .25, .5 and .75 of the best epoch (`auto`) or with the shares listed (in (0, 1]). `off`:
    epochs alone, and no `soup_epochs`. With `keep_source_classes` the smallest share is kept that is within .005 of the
    best AP."""
    soup_epochs: Annotated[int, Field(ge=0, le=50)] = 0
    """How many of the best epochs are stored while a run trains and averaged at its end: their mean, and the mean of
    those that do not lower AP, are scored too. 0 or 1 averages none: an epoch is an average of its steps already."""
    budget: Annotated[float, Field(gt=0)] | None = None
    """Minutes that training may take, with all scoring but that of the report; without it the epochs decide. Where the
    time ends first, the rate falls with the time, each phase has its share, and the last epoch is cut short."""
    batchnorm: BatchNorm = "with_stage"
    """Running statistics move with their stage, never (`frozen`), or always (`all`)."""
    pull_to_source: Annotated[float, Field(ge=0)] = 0.0
    """Strength of L2-SP, which pulls weights towards those of the source."""
    cache_features: bool | Positive = False
    """As in a phase, for a named strategy."""
    new_class_lr_factor: Annotated[float, Field(ge=1, le=100)] = 10.0
    """Factor on the rate of the class layer where it has new classes."""

    @field_validator("interpolate", mode="before")
    @classmethod
    def _off(cls, value: object) -> object:
        return "off" if value is False else value  # YAML reads `off` as false

    @property
    def named_classes(self) -> dict[str, tuple[str, ...]]:
        """The source classes of each target class that the config itself names."""
        named = self.class_map if isinstance(self.class_map, dict) else {}
        return {target: (each,) if isinstance(each, str) else tuple(each) for target, each in named.items()}

    @model_validator(mode="after")
    def _one_plan(self) -> Transfer:
        if self.strategy is not None and self.phases is not None:
            raise ValueError(
                "give transfer.strategy or transfer.phases, not both; with phases of your own: transfer.strategy=null"
            )
        if self.phases is not None and not self.phases:
            raise ValueError("transfer.phases is empty: give at least one phase")
        return self
